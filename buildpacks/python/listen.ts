import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, digestOf } from '../sdk/index.ts'

const program = 'serve-on-port'

/**
 * The prefix of the command that runs a file whose server listens on $PORT, although the file names another port or none.
 * @param named the port that the file names; empty if it names none
 */
export const serveOnPort = (framework: string, named: string): string =>
  `${program} ${named === '' ? framework : `${framework}:${named}`}`

/** Installs the program for a command that starts with it. */
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

/** These frameworks get the address as arguments of the call that starts their server, and read it from nowhere else. */
const source = `#!/usr/bin/env python
"""Runs a file as python would, with its server on $PORT of all interfaces."""
import asyncio
import importlib
import inspect
import os
import runpy
import signal
import sys

framework, _, instead_of = sys.argv[1].partition(":")
path = sys.argv[2]
sys.argv = sys.argv[2:]
sys.path[0] = os.path.dirname(os.path.abspath(path))


def listen_on_port(owner, name, **others):
    call = getattr(owner, name)
    signature = inspect.signature(call)
    port = int(os.environ.get("PORT") or 8080)

    def listen(*given, **named):
        bound = signature.bind(*given, **named)
        # A server on another port is for something else, such as metrics.
        if str(bound.arguments.get("port", "")) == instead_of:
            bound.arguments.update(port=port, **others)
        return call(*bound.args, **bound.kwargs)

    setattr(owner, name, listen)


if framework == "tornado":
    # Applications listen by their server's method.
    listen_on_port(importlib.import_module("tornado.tcpserver").TCPServer, "listen", address="0.0.0.0")
elif framework == "aiohttp":
    listen_on_port(importlib.import_module("aiohttp.web"), "run_app", host="0.0.0.0")
elif framework == "bottle":
    listen_on_port(importlib.import_module("bottle"), "run", host="0.0.0.0", reloader=False)
elif framework == "cherrypy":
    cherrypy = importlib.import_module("cherrypy")

    def use_port():
        cherrypy.server.socket_host = "0.0.0.0"
        cherrypy.server.socket_port = int(os.environ.get("PORT") or 8080)

    # The server starts with priority 75, when the application has set everything else.
    cherrypy.engine.subscribe("start", use_port, priority=10)
    cherrypy.config.update({"engine.autoreload.on": False})
elif framework == "robyn":
    # Its server ends on SIGTERM, and the loop that it is in would go on for ever.
    def end(*_):
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            sys.exit()

        # The server runs the loop once, and Robyn then once more.
        def stop():
            loop.stop()
            loop.call_soon(stop)

        # Time for the answers to requests that are already there.
        loop.call_later(1, stop)

    signal.signal(signal.SIGTERM, end)
    os.environ.update(ROBYN_HOST="0.0.0.0", ROBYN_PORT=os.environ.get("PORT") or "8080")
elif framework == "nicegui":
    listen_on_port(importlib.import_module("nicegui.ui"), "run", host="0.0.0.0", reload=False, show=False)
runpy.run_path(path, run_name="__main__")
`
