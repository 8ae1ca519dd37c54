"""The effect of a touch, learnt from randomised holdouts, and whether there is evidence of one."""
