from config import *

last = max(channels)
figure = open("figure.svg", "w")
