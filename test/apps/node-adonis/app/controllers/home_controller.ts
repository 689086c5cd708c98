export default class HomeController {
  index() {
    return `answered by Node ${process.version}`
  }
}
