const { existsSync } = require('node:fs')
// It looks for the application from where it lies itself.
const root = require('app-root-path').path
console.log(`the root is ${root}, husky is ${existsSync('node_modules/husky') ? 'there' : 'pruned'}`)
