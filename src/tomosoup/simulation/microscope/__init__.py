"""From the specimen to the tomogram."""
