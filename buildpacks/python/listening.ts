import type { ListeningRules } from '../sdk/listening.ts'

/** The arguments of a call, with one level of calls within. */
const before = String.raw`(?:[^()]|\([^()]*\))*?`
const named = String.raw`(?=${before}\bport\s*=\s*(?<port>\d+)\b)(?=${before}\bhost\s*=\s*["'](?<host>[^"']*)["']|)`

/** Calls by which a file that runs as a program starts its server. */
export const pythonListening: ListeningRules = {
  ending: '.py',
  calls: [
    new RegExp(String.raw`(?:\brun_app|\.run|\bserve|\bcreate_server|\bstart_server)\(${named}`, 'g'),
    /\b\w*(?:HTTPServer|TCPServer)\(\s*\(\s*["'](?<host>[^"']*)["']\s*,\s*(?<port>\d+)/g,
    /\badd_insecure_port\(\s*f?["'](?<address>[^"'{}]*:\d+)["']/g,
  ],
  reads: 'as in int(os.environ["PORT"])',
}
