package shop

import com.sun.net.httpserver.HttpServer
import java.net.InetSocketAddress

object Main {
  def main(args: Array[String]): Unit = {
    val server = HttpServer.create(new InetSocketAddress(sys.env.getOrElse("PORT", "8080").toInt), 0)
    server.createContext(
      "/",
      exchange => {
        val body = s"Scala ${util.Properties.versionNumberString}".getBytes
        exchange.sendResponseHeaders(200, body.length)
        exchange.getResponseBody.write(body)
        exchange.close()
      }
    )
    server.start()
  }
}
