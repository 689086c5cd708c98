import { AngularNodeAppEngine, createNodeRequestHandler, isMainModule, writeResponseToNodeResponse } from '@angular/ssr/node'
import express from 'express'
import { join } from 'node:path'

const server = express()
const angular = new AngularNodeAppEngine()

server.use(express.static(join(import.meta.dirname, '../browser'), { maxAge: '1y', index: false, redirect: false }))
server.use((request, response, next) => {
  angular
    .handle(request)
    .then(rendered => (rendered ? writeResponseToNodeResponse(rendered, response) : next()))
    .catch(next)
})

if (isMainModule(import.meta.url)) server.listen(process.env['PORT'] ?? 4000)

export const reqHandler = createNodeRequestHandler(server)
