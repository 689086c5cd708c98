export default function Page() {
  return <p>start</p>
}
