export default function Home() {
  return <p>in the browser</p>
}
