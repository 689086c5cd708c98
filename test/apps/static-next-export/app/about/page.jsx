export default function About() {
  return <p>exported</p>
}
