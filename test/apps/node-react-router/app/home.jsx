export const loader = () => ({ version: process.version })

export default function Home({ loaderData }) {
  return <p>rendered by Node {loaderData.version}</p>
}
