import { readFile } from 'node:fs/promises'

/** Lists the mount points in this container except its root: volumes, /proc, /etc/resolv.conf (proc_pid_mountinfo(5)). */
export async function mountPoints(): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).trimEnd().split('\n')
  const points = lines.map(line => unescape(line.split(' ')[4] ?? '/'))
  return points.filter(path => path !== '/')
}

/** mountinfo writes spaces, tabs, newlines and backslashes as octal numbers, and all other bytes of a name unchanged. */
const unescape = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
