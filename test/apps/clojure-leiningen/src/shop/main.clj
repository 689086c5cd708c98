(ns shop.main
  (:gen-class)
  (:import (com.sun.net.httpserver HttpHandler HttpServer)
           (java.net InetSocketAddress)))

(defn- answer [exchange]
  (let [body (.getBytes (str "Clojure " (clojure-version)))]
    (.sendResponseHeaders exchange 200 (count body))
    (.write (.getResponseBody exchange) body)
    (.close exchange)))

(defn -main []
  (let [port (Integer/parseInt (or (System/getenv "PORT") "8080"))]
    (doto (HttpServer/create (InetSocketAddress. port) 0)
      (.createContext "/" (reify HttpHandler (handle [_ exchange] (answer exchange))))
      (.start))))
