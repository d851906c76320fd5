"""What the gateway must show as a whole, with real processes: kills, lost tokens, flipped bits, disks searched."""
