"""From structures to a tomogram with known particles: structures, layout, tilts, reconstruction; `scene` chains them."""
