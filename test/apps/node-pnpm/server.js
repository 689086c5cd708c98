const isOdd = require("is-odd")
const { existsSync } = require("node:fs")
const { createServer } = require("node:http")

const dev = () => { try { return require.resolve("kleur") } catch { return undefined } }
createServer((_request, response) => {
  const facts = [`3 is odd: ${isOdd(3)}`, `kleur ${dev() ? "installed" : "not installed"}`, `built: ${existsSync("built.txt")}`]
  response.end(facts.join(", "))
}).listen(process.env.PORT)
