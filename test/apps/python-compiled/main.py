import markupsafe._speedups

print("speedups of MarkupSafe: compiled", markupsafe._speedups.__file__)
