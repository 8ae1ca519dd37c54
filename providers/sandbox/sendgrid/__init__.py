"""SendGrid: mail send, suppressions and the email activity feed of one account."""
