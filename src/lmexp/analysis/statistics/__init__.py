"""What can be concluded from few numbers: intervals, differences, curves."""
