export const dynamic = 'force-dynamic'

export default function Page() {
  return <h1>rendered by Next in process {process.env.NEXT_RUNTIME ?? 'nodejs'}</h1>
}
