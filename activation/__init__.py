"""Activation: plan, approve, dispatch, settle, measure; consent; write-back to the CRM.

Each step is a function that takes the database, the clients and a clock, and is called alike by
the command line, by Dagster and by tests. The functions stand in the modules named after them.
"""
