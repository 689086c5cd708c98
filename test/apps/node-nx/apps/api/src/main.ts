import { createServer } from 'node:http'
import { answer } from './answer'

const port = Number(process.env.PORT ?? 3000)
createServer((_request, response) => response.end(answer())).listen(port)
