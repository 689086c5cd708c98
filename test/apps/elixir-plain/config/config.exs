import Config
config :hello, greeting: "Hello"
