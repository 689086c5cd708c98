import { createAsync, query } from '@solidjs/router'

const version = query(async () => {
  'use server'
  return process.version
}, 'version')

export default function Home() {
  const found = createAsync(() => version())
  return <p>rendered by Node {found()}</p>
}
