// A site without a tool that is known: the script makes what is served.
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs')

mkdirSync('www', { recursive: true })
writeFileSync('www/index.html', readFileSync('src/index.html', 'utf8').replace('{{title}}', 'Made by a script'))
