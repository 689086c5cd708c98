import { useLoaderData } from '@remix-run/react'

export const loader = () => ({ version: process.version })

export default function Index() {
  return <p>rendered by Node {useLoaderData<typeof loader>().version}</p>
}
