"""What an operator touches: commands, journal, telemetry and the wiring."""
