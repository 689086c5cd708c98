import { createServer } from 'node:http'
import { nanoid } from 'nanoid'

const compiler = 'typescript'
const installed: string = await import(compiler).then(
  () => 'installed',
  () => 'not installed',
)
const text = `compiled; nanoid: ${nanoid().length} characters; typescript: ${installed}\n`
createServer((_request, response) => response.end(text)).listen(process.env['PORT'])
