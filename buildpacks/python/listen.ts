import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, digestOf } from '../sdk/index.ts'

const program = 'serve-on-port'

/** The start of the command that runs a file whose server listens on $PORT, though the file says another port or none. */
export const serveOnPort = (framework: string): string => `${program} ${framework}`

/** Puts the program there for a command that starts with it. */
export async function provideServeOnPort({ layer }: BuildContext, command: string): Promise<void> {
  if (!command.startsWith(`${program} `)) return
  await layer('listen', {
    title: `the program ${program}`,
    types: { launch: true },
    key: { program: digestOf(source) },
    create: async dir => {
      await mkdir(join(dir, 'bin'))
      await writeFile(join(dir, 'bin', program), source, { mode: 0o755 })
    },
  })
}

/** Frameworks take the address as arguments of the call that starts their server, and have no other way to be told. */
const source = `#!/usr/bin/env python
"""Runs a file as python would, with its server on $PORT of all interfaces."""
import importlib
import os
import runpy
import sys

framework, path = sys.argv[1:3]
sys.argv = [path, *sys.argv[3:]]
sys.path[0] = os.path.dirname(os.path.abspath(path))
port = int(os.environ.get("PORT") or 8080)
host = "0.0.0.0"


def replace(module, name, arguments):
    owner = importlib.import_module(module)
    call = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: call(*given, **{**named, **arguments}))


if framework == "tornado":
    from tornado.tcpserver import TCPServer

    # Applications listen by their server's method.
    listen = TCPServer.listen
    TCPServer.listen = lambda self, _port, _address="", **named: listen(self, port, **{**named, "address": host})
elif framework == "aiohttp":
    replace("aiohttp.web", "run_app", {"host": host, "port": port})
elif framework == "bottle":
    replace("bottle", "run", {"host": host, "port": port, "reloader": False})
elif framework == "nicegui":
    replace("nicegui.ui", "run", {"host": host, "port": port, "reload": False, "show": False})
runpy.run_path(path, run_name="__main__")
`
