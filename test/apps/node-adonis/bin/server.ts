import 'reflect-metadata'
import { Ignitor, prettyPrintError } from '@adonisjs/core'

const root = new URL('../', import.meta.url)

new Ignitor(root, { importer: path => import(path.startsWith('.') ? new URL(path, root).href : path) })
  .tap(app => {
    app.booting(async () => {
      await import('#start/env')
    })
    app.listen('SIGTERM', () => app.terminate())
  })
  .httpServer()
  .start()
  .catch(error => {
    process.exitCode = 1
    prettyPrintError(error)
  })
