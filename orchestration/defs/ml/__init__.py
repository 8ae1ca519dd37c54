"""Training the conversion model and scoring every open lead."""
