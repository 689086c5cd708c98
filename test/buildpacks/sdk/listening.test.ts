import { expect, it } from 'vitest'
import { goListening } from '../../../buildpacks/go/listening.ts'
import { pythonListening } from '../../../buildpacks/python/listening.ts'
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
  await warnOfListening(
    new App(dir),
    new Log({ stdout: () => {}, stderr: text => void lines.push(text) }),
    rulesOf[ending],
  )
  const port = /(\S+) listens on port (\d+)/.exec(lines.join(''))
  const hidden = /(\S+) listens on localhost/.exec(lines.join(''))
  return [port && `${port[1]} ${port[2]}`, hidden && `${hidden[1]} localhost`].filter(Boolean).join(', ')
}

it.each<[string, string, string]>([
  ['net/http', 'func main() {\n  http.ListenAndServe(":8000", nil)\n}', 'main.go:2 8000'],
  [
    'localhost',
    'log.Fatal(http.ListenAndServeTLS("localhost:8443", a, b, nil))',
    'main.go:1 8443, main.go:1 localhost',
  ],
  ['a server', 's := http.Server{\n  Handler: r,\n  Addr: "127.0.0.1:80",\n}', 'main.go:1 80, main.go:1 localhost'],
  ['a listener', 'l, err := net.Listen("tcp", ":50051")', 'main.go:1 50051'],
  ['Gin', 'r.Run(":9000")', 'main.go:1 9000'],
  ['Gin as it is by default', 'r.Run()', ''],
  ['Echo', 'e.Logger.Fatal(e.Start(":1323"))', 'main.go:1 1323'],
  ['the variable', 'http.ListenAndServe(":"+os.Getenv("PORT"), nil)', ''],
  ['a default', 'p := os.Getenv("PORT")\nhttp.ListenAndServe(":8000", nil)', ''],
  ['another variable', 'http.ListenAndServe(cfg.Addr, nil)', ''],
  ['a server on a variable beside metrics', 'go http.ListenAndServe(":9090", m)\nhttp.ListenAndServe(addr, r)', ''],
  ['a client of another server', 'redis.NewClient(&redis.Options{Addr: "localhost:6379"})', ''],
  ['any port', 'net.Listen("tcp", ":0")', ''],
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
  ['an address of numbers', 'SocketAddr::from(([0, 0, 0, 0], 3000))', 'src/main.rs:1 3000'],
  [
    'localhost on the port of the variable',
    'env::var("PORT");\na.bind(("127.0.0.1", 8080))',
    'src/main.rs:2 localhost',
  ],
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
