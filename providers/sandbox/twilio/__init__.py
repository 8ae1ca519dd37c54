"""Twilio: messages, calls and recordings of one account."""
