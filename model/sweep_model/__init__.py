"""The maths of a linear image classifier: NumPy in, NumPy out."""
