"""What is predicted beside conversion: replies, no-shows, recovery and time to convert."""
