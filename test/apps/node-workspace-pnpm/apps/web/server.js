const { existsSync, readFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { text } = require('@app/text')

const has = name => {
  try {
    return Boolean(require.resolve(name))
  } catch {
    return false
  }
}
createServer((_request, response) => {
  const facts = [
    text(),
    `built: ${readFileSync('built.txt', 'utf8')}`,
    `kleur ${has('kleur')}`,
    `ms ${existsSync('/workspace/node_modules/ms') || existsSync('/workspace/node_modules/.pnpm/ms@2.1.3')}`,
    `docs ${existsSync('/workspace/apps/docs')}`,
  ]
  response.end(facts.join(', '))
}).listen(process.env.PORT)
