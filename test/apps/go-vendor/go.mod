module example.com/vendored

go 1.22

require example.com/adder v1.2.3
