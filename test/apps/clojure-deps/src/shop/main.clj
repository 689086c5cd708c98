(ns shop.main
  (:require [clojure.data.json :as json])
  (:import (com.sun.net.httpserver HttpHandler HttpServer)
           (java.net InetSocketAddress)))

(defn- answer [exchange]
  (let [body (.getBytes (json/write-str {:clojure (clojure-version)}))]
    (.sendResponseHeaders exchange 200 (count body))
    (.write (.getResponseBody exchange) body)
    (.close exchange)))

(defn -main [& _]
  (let [port (Integer/parseInt (or (System/getenv "PORT") "8080"))]
    (doto (HttpServer/create (InetSocketAddress. port) 0)
      (.createContext "/" (reify HttpHandler (handle [_ exchange] (answer exchange))))
      (.start))))
