import { createServer } from 'node:http'
import { greet } from '@mono/greet'

createServer((_request, response) => response.end(greet('Turborepo'))).listen(process.env.PORT ?? 8080)
