"""What a simulated tomogram is made of. Every option of a scene is a field here."""
