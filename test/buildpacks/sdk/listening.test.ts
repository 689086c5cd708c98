import { expect, it } from 'vitest'
import { goListening } from '../../../buildpacks/go/listening.ts'
import { pythonListening, startedFiles } from '../../../buildpacks/python/listening.ts'
import { rustListening } from '../../../buildpacks/rust/listening.ts'
import { App, Log, warnOfListening } from '../../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

const rulesOf = { go: goListening, py: pythonListening, rs: rustListening } as const

/** What is said of sources, without the parts that are always the same. */
async function said(files: Record<string, string>): Promise<string> {
  const dir = await temporaryDirectory()
  await writeTree(dir, files)
  const ending = (/\.(go|py|rs)$/.exec(Object.keys(files)[0] ?? '')?.[1] ?? 'go') as keyof typeof rulesOf
  const lines: string[] = []
  const started = await startedFiles(new App(dir), 'python shop/main.py')
  const isStarted = (file: string) => (ending === 'py' ? started.has(file) : !file.includes('cmd/'))
  await warnOfListening(
    new App(dir),
    new Log({ stdout: () => {}, stderr: text => void lines.push(text) }),
    rulesOf[ending],
    isStarted,
  )
  const port = /(\S+) always listens on port (\d+)/.exec(lines.join(''))
  const hidden = /(\S+) listens only on localhost/.exec(lines.join(''))
  return [port && `${port[1]} ${port[2]}`, hidden && `${hidden[1]} localhost`].filter(Boolean).join(', ')
}

const gin = 'import "github.com/gin-gonic/gin"\n'
const echo = 'import "github.com/labstack/echo/v4"\n'

it.each<[string, string, string]>([
  ['net/http', 'func main() {\n  http.ListenAndServe(":8000", nil)\n}', 'main.go:2 8000'],
  [
    'localhost',
    'log.Fatal(http.ListenAndServeTLS("localhost:8443", a, b, nil))',
    'main.go:1 8443, main.go:1 localhost',
  ],
  ['a server', 's := http.Server{\n  Handler: r,\n  Addr: "127.0.0.1:80",\n}', 'main.go:1 80, main.go:1 localhost'],
  ['a listener', 'l, err := net.Listen("tcp", ":50051")', 'main.go:1 50051'],
  ['Gin', `${gin}r.Run(":9000")`, 'main.go:2 9000'],
  ['Gin as it is by default', 'r.Run()', ''],
  ['Echo', `${echo}e.Logger.Fatal(e.Start(":1323"))`, 'main.go:2 1323'],
  ['the variable', 'http.ListenAndServe(":"+os.Getenv("PORT"), nil)', ''],
  ['a default', 'p := os.Getenv("PORT")\nhttp.ListenAndServe(":8000", nil)', ''],
  ['another variable', 'http.ListenAndServe(cfg.Addr, nil)', ''],
  ['a server on a variable beside metrics', 'go http.ListenAndServe(":9090", m)\nhttp.ListenAndServe(addr, r)', ''],
  ['a client of another server', 'redis.NewClient(&redis.Options{Addr: "localhost:6379"})', ''],
  ['any port', 'net.Listen("tcp", ":0")', ''],
  [
    'a framework on the variable beside its profiles',
    `${echo}go http.ListenAndServe("localhost:6060", nil)\ne.Start(":"+os.Getenv("P"))`,
    '',
  ],
  [
    'a framework on a computed address beside metrics',
    'go http.ListenAndServe(":9090", m)\nr.Run(fmt.Sprintf(":%d", cfg.Port))',
    '',
  ],
  ['any port of localhost', 'net.Listen("tcp", "127.0.0.1:0")\napp.Listen(fmt.Sprintf(":%d", p))', ''],
  ['a method of some other type', 'm.Run("localhost:6379")', ''],
  ['a server with more in it', 'http.ListenAndServe(":9090", m)\ns := http.Server{TLS: a{}, Addr: x}\ns.Serve()', ''],
  ['a server from elsewhere', 'http.ListenAndServe(":9090", m)\nserver.New().ListenAndServe()', ''],
  [
    'the server before its profiles',
    'go http.ListenAndServe("localhost:6060", nil)\nhttp.ListenAndServe(":8000", r)',
    'main.go:2 8000',
  ],
  ['a comment', '// http.ListenAndServe(":8000", nil)', ''],
])('where Go listens: %s', async (_name, source, expected) => {
  expect(await said({ 'main.go': source, 'main_test.go': 'e.Start(":1")', 'vendor/a/a.go': 'e.Start(":2")' })).toBe(
    expected,
  )
})

it.each<[string, string, string]>([
  ['Tokio', 'TcpListener::bind("127.0.0.1:3000").await', 'src/main.rs:1 3000, src/main.rs:1 localhost'],
  ['all addresses', 'tokio::net::TcpListener::bind("0.0.0.0:3000").await', 'src/main.rs:1 3000'],
  ['Actix', 'HttpServer::new(f)\n  .bind(("127.0.0.1", 8080))?', 'src/main.rs:2 8080, src/main.rs:2 localhost'],
  ['Warp', 'warp::serve(r).run(([127, 0, 0, 1], 3030)).await', 'src/main.rs:1 3030, src/main.rs:1 localhost'],
  [
    'an address of numbers',
    'let addr = SocketAddr::from(([0, 0, 0, 0], 3000));\nTcpListener::bind(&addr)',
    'src/main.rs:2 3000',
  ],
  ['an address of another server', 'let db = SocketAddr::from(([127, 0, 0, 1], 5432));\nconnect(db)', ''],
  ['localhost, where the variable is read', 'env::var("PORT");\nTcpListener::bind("127.0.0.1:80")', ''],
  ['a call after an attribute', '#[rustfmt::skip] let l = TcpListener::bind("[::]:80");', 'src/main.rs:1 80'],
  [
    'a variable beside tests',
    'axum::serve(l)\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n  use a;\n  fn b() {\n    TcpListener::bind("127.0.0.1:1");\n  }\n}\n',
    '',
  ],
  [
    'what is after a test',
    '#[cfg(test)]\nmod tests;\n#[test]\nfn a() {\n  TcpListener::bind(x);\n}\nTcpListener::bind("0.0.0.0:80");',
    'src/main.rs:7 80',
  ],
  [
    'Actix on a variable beside metrics',
    'HttpServer::new(f).bind(("0.0.0.0", port))\nHttpServer::new(m).bind(("127.0.0.1", 9100))',
    '',
  ],
  ['a parameter of SQL', 'HttpServer::new(f);\nsqlx::query(q).bind("10:30")', ''],
  ['SQL beside a server', 'sqlx::query(q).bind(id);\nTcpListener::bind("0.0.0.0:80")', 'src/main.rs:2 80'],
  ['Warp on a variable', 'warp::serve(r).run(addr);\nTcpListener::bind("127.0.0.1:9100")', ''],
  ['a variable', 'TcpListener::bind(addr).await', ''],
  ['an address with a variable', 'TcpListener::bind(format!("127.0.0.1:{port}"))', ''],
  ['a socket of UDP', 'UdpSocket::bind("127.0.0.1:34254")', ''],
])('where Rust listens: %s', async (_name, source, expected) => {
  expect(await said({ 'src/main.rs': source, 'examples/a.rs': '.bind("127.0.0.1:1")' })).toBe(expected)
})

it.each<[string, string, string]>([
  ['aiohttp', 'web.run_app(init(argv), host="127.0.0.1", port=9001)', 'shop/main.py:1 9001, shop/main.py:1 localhost'],
  ['a call of several lines', 'uvicorn.run(\n  "a:app",\n  port=8000,\n)', 'shop/main.py:1 8000'],
  ['Python’s own server', 'HTTPServer(("", 8000), Handler).serve_forever()', 'shop/main.py:1 8000'],
  ['gRPC', 'server.add_insecure_port("[::]:50051")', 'shop/main.py:1 50051'],
  ['the variable', 'web.run_app(app, port=int(os.environ["PORT"]))', ''],
  ['another program', 'subprocess.run(["a"], check=True)\nasyncio.run(main())', ''],
  ['an argument of another call', 'asyncio.run(main())\nconnect(port=5432)', ''],
])('where Python listens: %s', async (_name, source, expected) => {
  expect(await said({ 'shop/main.py': source, 'tests/test_it.py': 'app.run(port=1)' })).toBe(expected)
})

it.each<[string, Record<string, string>, string]>([
  [
    'a variable, beside a file that is not started',
    {
      'shop/main.py': 'from settings import settings\nuvicorn.run(app, port=settings.port)',
      'dev.py': 'uvicorn.run("m:app", host="127.0.0.1", port=8000)',
    },
    '',
  ],
  [
    'nothing that is understood, beside a file that is not started',
    { 'shop/main.py': 'start()', 'mock/fake_api.py': 'app.run(host="127.0.0.1", port=8000)' },
    '',
  ],
  [
    'a file that is imported',
    { 'shop/main.py': 'from lib import web\nweb.go()', 'shop/lib/web.py': 'app.run(port=8000)' },
    'shop/lib/web.py:1 8000',
  ],
  [
    'a file that is imported by its place',
    { 'shop/main.py': 'import lib.web', 'shop/lib/web.py': 'from .b import x', 'shop/lib/b.py': 'a.run(port=9)' },
    'shop/lib/b.py:1 9',
  ],
  ['options from elsewhere', { 'shop/main.py': 'HTTPServer(("", 9100), H)\nuvicorn.run(app, **options)' }, ''],
  [
    'a server of a function of that name',
    { 'shop/main.py': 'def serve():\n  s.add_insecure_port("[::]:50051")\nserve()' },
    'shop/main.py:2 50051',
  ],
])('what of Python is started: %s', async (_name, files, expected) => {
  expect(await said(files)).toBe(expected)
})

it('does not take what another program of Go says for the one that starts', async () => {
  expect(await said({ 'main.go': 'run()', 'cmd/admin/main.go': 'http.ListenAndServe("localhost:9090", nil)' })).toBe('')
})

it('knows what python -m starts', async () => {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'src/jobs/__main__.py': 'from jobs import web, other', 'src/jobs/web.py': '', 'dev.py': '' })
  const found = await startedFiles(new App(dir), 'PYTHONPATH=src python -m jobs')
  expect([...found]).toEqual(['src/jobs/__main__.py', 'src/jobs/web.py'])
})
