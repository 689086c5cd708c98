module example.com/commands

// +heroku goVersion 1.26
go 1.21
