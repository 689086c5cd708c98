from setuptools import find_packages, setup

setup(
    name="greeter",
    version="1.0",
    packages=find_packages("src"),
    package_dir={"": "src"},
    python_requires=">=3.9",
    install_requires=["bottle==0.13.4"],
    entry_points={"console_scripts": ["greeter = greeter.server:main"]},
)
