"""Nurture batches and the way back into the CRM."""
