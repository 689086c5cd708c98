import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { python } from '../../../buildpacks/python/python.ts'
import { portOfCall } from '../../../buildpacks/python/port.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { type Available, suiteWith } from '../../helpers/skip.ts'
import { writeTree } from '../../helpers/tree.ts'
import { openProject } from '../sdk/project.ts'
import { FakeDebian } from './fake-debian.ts'

const dir = join(import.meta.dirname, '../../../buildpacks/python')

/** Packages whose servers print where they would listen. Their signatures are those of the real ones. */
const packages: Tree = {
  'tornado/__init__.py': '',
  'tornado/tcpserver.py': `class TCPServer:
    def listen(self, port, address=None, family=0, backlog=128, flags=None, reuse_port=False):
        print("tornado", address, port, backlog)
`,
  'tornado/web.py': `from tornado.tcpserver import TCPServer
class Application:
    def listen(self, port, address=None, *, backlog=128, **named):
        TCPServer().listen(port, address=address, backlog=backlog)
`,
  'bottle.py': `def run(app=None, server="wsgiref", host="127.0.0.1", port=8080, interval=1, reloader=False, quiet=False, **named):
    print("bottle", app, server, host, port, reloader)
class Bottle:
    def __str__(self):
        return "shop"
    def run(self, **named):
        run(self, **named)
`,
  'aiohttp/__init__.py': '',
  'aiohttp/web.py': `def run_app(app, *, host=None, port=None, backlog=128):
    print("aiohttp", app, host, port, backlog)
`,
  'robyn.py': `import asyncio, os, signal
def serve():
    loop = asyncio.new_event_loop()
    loop.call_soon(os.kill, os.getpid(), signal.SIGTERM)
    loop.run_forever()
    loop.run_forever()
    print("robyn", os.environ["ROBYN_HOST"], os.environ["ROBYN_PORT"], "ends on SIGTERM")
`,
  'cherrypy.py': `import sys
class server:
    socket_host = "127.0.0.1"
    socket_port = 8080
class config:
    settings = {}
    update = settings.update
class engine:
    listeners = []
    def subscribe(channel, callback, priority):
        assert (channel, priority < 75) == ("start", True)
        engine.listeners.append(callback)
    def start():
        for each in engine.listeners:
            each()
        print("cherrypy", server.socket_host, server.socket_port, config.settings)
def quickstart(root):
    engine.start()
`,
  'nicegui/__init__.py': '',
  'nicegui/ui.py': `def run(root=None, *, host=None, port=None, title="NiceGUI", reload=True, show=True):
    print("nicegui", host, port, title, reload, show)
`,
}

const python3: Available<string> =
  spawnSync('python3', ['--version']).status === 0
    ? { state: 'available', value: 'python3' }
    : { state: 'missing', reason: 'there is no python3' }

suiteWith('a server on $PORT', python3, interpreter => {
  it.each<[string, string, string, string, Tree?]>([
    ['Tornado', 'tornado', 'tornado.web.Application().listen(8888)', 'tornado 0.0.0.0 9000 128'],
    ['Tornado by name', 'tornado', 'TCPServer().listen(port=8888, backlog=5)', 'tornado 0.0.0.0 9000 5'],
    ['Tornado by position', 'tornado', 'TCPServer().listen(8888, "127.0.0.1")', 'tornado 0.0.0.0 9000 128'],
    [
      'Tornado whose metrics come first',
      'tornado',
      'import metrics\nTCPServer().listen(8888)',
      'tornado localhost 9100 128\ntornado 0.0.0.0 9000 128',
      { 'metrics.py': 'from tornado.tcpserver import TCPServer\nTCPServer().listen(9100, address="localhost")\n' },
    ],
    [
      'Tornado whose metrics come last',
      'tornado',
      'TCPServer().listen(8888)\nimport metrics',
      'tornado 0.0.0.0 9000 128\ntornado localhost 9100 128',
      { 'metrics.py': 'from tornado.tcpserver import TCPServer\nTCPServer().listen(port=9100, address="localhost")\n' },
    ],
    ['Bottle by position', 'bottle', 'run("a", "wsgiref", "localhost", 8080)', 'bottle a wsgiref 0.0.0.0 9000 False'],
    ['Bottle by name', 'bottle', 'run(port=80, reloader=True)', 'bottle None wsgiref 0.0.0.0 9000 False'],
    ['Bottle’s application', 'bottle', 'bottle.Bottle().run(port=80)', 'bottle shop wsgiref 0.0.0.0 9000 False'],
    ['Bottle without a port', 'bottle', 'run(host="localhost")', 'bottle None wsgiref 0.0.0.0 9000 False'],
    ['aiohttp', 'aiohttp', 'web.run_app(f(1, 2), host="::1", port=80, backlog=5)', 'aiohttp 3 0.0.0.0 9000 5'],
    ['NiceGUI', 'nicegui', 'ui.run(title="a, b)", port=80)', 'nicegui 0.0.0.0 9000 a, b) False False'],
    [
      'CherryPy',
      'cherrypy',
      'cherrypy.server.socket_port = 80\ncherrypy.quickstart(None)',
      "cherrypy 0.0.0.0 9000 {'engine.autoreload.on': False}",
    ],
    ['Robyn', 'robyn', 'serve()', 'robyn 0.0.0.0 9000 ends on SIGTERM'],
  ])('%s', async (_name, framework, call, expected, files = {}) => {
    const imports: Record<string, string> = {
      tornado: 'import tornado.web\nfrom tornado.tcpserver import TCPServer\n',
      bottle: 'import bottle\nfrom bottle import run\n',
      aiohttp: 'from aiohttp import web\ndef f(a, b):\n  return a + b\n',
      nicegui: 'from nicegui import ui\n',
      cherrypy: 'import cherrypy\n',
      robyn: 'from robyn import serve\n',
    }
    const app = { 'requirements.txt': `${framework}\n`, 'main.py': `${imports[framework]}${call}\n`, ...files }
    const project = await openProject({ buildpack: python, dir, app, env: {}, runner: new FakeDebian().runner })
    const { exitCode, output, launch } = await project.build()
    expect(exitCode, output).toBe(0)
    const command = /Starts with: (\S+ \S+ \S+) /.exec(output)?.[1] ?? ''
    expect(JSON.stringify(launch)).toContain(command)
    await writeTree(join(project.layersDir, 'packages'), packages)
    const [program = '', ...args] = command.split(' ')
    const run = promisify(execFile)(interpreter, [join(project.layersDir, 'listen/bin', program), ...args], {
      cwd: project.appDir,
      env: { ...process.env, PORT: '9000', PYTHONPATH: join(project.layersDir, 'packages') },
    })
    expect((await run).stdout.trim()).toBe(expected)
  })
})

it('another port is told of in the log', async () => {
  const app = { 'requirements.txt': 'tornado\n', 'main.py': 'import tornado\nmake_app().listen(8888)\n' }
  const project = await openProject({ buildpack: python, dir, app, env: {}, runner: new FakeDebian().runner })
  expect((await project.build()).output).toContain(
    'Starts with: serve-on-port tornado:8888 main.py (main.py is for Tornado, which listens on $PORT instead of 8888)',
  )
})

describe('the port of a call', () => {
  it.each<[string, string | undefined]>([
    ['app.listen(8888)', '8888'],
    ['app.listen("8888", address="")', '8888'],
    ['app.listen(\n  # everywhere, at (last)\n  address=f(a, b),\n  port=8888,\n)', '8888'],
    ['PORT = 8888  # of mine\napp.listen(PORT)', '8888'],
    ['PORT: int = 8888\napp.listen(port=PORT)', '8888'],
    ['app.listen(address="::1")', ''],
    ['PORT = 8888\nPORT = 9999\napp.listen(PORT)', undefined],
    ['def main():\n  port = 8888\n  app.listen(port)', undefined],
    ['port = int(os.getenv("SERVER_PORT", 8888))\napp.listen(port)', undefined],
    ['app.listen(os.getenv("SERVER_PORT"))', undefined],
    ['app.listen(options.port)', undefined],
    ['app.listen(port=settings.PORT)', undefined],
    ['app.listen(8000 + 1)', undefined],
    ['app.listen(**settings)', undefined],
    ['app.listen(*address)', undefined],
    ['app.listen(8888', undefined],
    ['app.listen(8888)\nmetrics.listen(9100)', undefined],
    ['app.start(8888)', undefined],
  ])('%j: %s', (source, port) => expect(portOfCall(source, /\.listen\(/, 0)).toBe(port))
})
