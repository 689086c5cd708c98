const { existsSync } = require('node:fs')
console.log(`ms is ${require('ms')('1m')}, husky is ${existsSync('node_modules/husky') ? 'there' : 'pruned'}`)
