"""Jobs and sensors: they choose assets by key and import no asset module."""
