"""From structures to a tomogram with known particles; `scene` chains the steps."""
