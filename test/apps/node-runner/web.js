const { existsSync, lstatSync } = require('node:fs')
const { createServer } = require('node:http')
const { path } = require('app-root-path')

const modules = lstatSync('node_modules').isDirectory() ? 'a directory' : 'a link'
const husky = existsSync('node_modules/husky') ? 'installed' : 'not installed'
const answer = `version ${process.env.npm_package_version}, root ${path === __dirname ? 'found' : path}, node_modules ${modules}, husky ${husky}\n`
createServer((_request, response) => response.end(answer)).listen(process.env.PORT)
