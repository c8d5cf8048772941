# Texte der Anwendung. Namen von Problemen sind `problem-` und der Code der API.

## Überall

loading = Lädt …
navigation = Hauptnavigation
menu = Menü
group-fleet = Flotte
group-administration = Verwaltung
skip-to-content = Zum Inhalt springen
times-of = Zeiten: { $zone }
time-zone = Zeitzone
clock = Uhr
clock-usual = Wie hier üblich
clock-24 = 24 Stunden
clock-12 = 12 Stunden
units = Einheiten
units-metric = km/h, Meter
units-imperial = mph, Fuß
language = Sprache
not-chosen = Nicht gewählt
choice-not-saved = Ihre Wahl konnte nicht gespeichert werden: Sie gilt nur auf dieser Seite. Wählen Sie noch einmal.
version = Version { $version }
api-reference = API-Referenz
sign-out = Abmelden
copy = Kopieren
name = Name
created = Erstellt
actions = Aktionen
never = nie
problem = Etwas ist schiefgegangen
request-id = Anfrage { $id }
not-found = Diese Seite gibt es nicht
not-found-hint = Prüfen Sie die Adresse, oder gehen Sie über die Navigation weiter.

search = Suche
search-hint = Maschinen, Zonen, Tracker, Personen, Seiten
found = Gefunden
nothing-found = Nichts fängt so an.
page = Seite
kind-of-asset = Maschine
kind-of-zone = Zone
kind-of-tracker = Tracker
kind-of-gateway = Gateway
kind-of-user = Benutzer

page-failed = Diese Seite ist ausgefallen. Das ist unser Fehler.
load-again = Neu laden
not-signed-out = Sie sind noch angemeldet: Der Server war nicht erreichbar. Versuchen Sie es noch einmal.
sure-delete = „{ $name }“ löschen?
sure-revoke = „{ $name }“ widerrufen? Was damit arbeitet, hört auf zu arbeiten.
sure-role = { $name } zum { $role } machen?
sure-deactivate = { $name } abschalten? Sitzungen und Schlüssel enden sofort.

## Anmelden

sign-in = Anmelden
email = E-Mail
password = Passwort
organization-id = Organisations-ID
organization-id-hint = Nur nötig, wenn Ihre E-Mail zu mehreren Organisationen gehört.
forgot-password = Passwort vergessen?
forgot-password-hint = Sie erhalten einen Brief mit einem Link, über den Sie ein neues Passwort setzen.
send-link = Link senden
link-is-sent = Wenn es diesen Benutzer gibt, ist ein Brief mit einem Link unterwegs.
back-to-sign-in = Zurück zur Anmeldung
invitation = Willkommen
invitation-hint = Wählen Sie ein Passwort. Mit Ihrer E-Mail melden Sie sich künftig damit an.
new-password = Ein neues Passwort
new-password-hint = Wählen Sie ein anderes Passwort. Überall sonst werden Sie abgemeldet.
password-hint = Mindestens 12 Zeichen. Lang und leicht zu merken ist gut.
set-password = Passwort setzen
link-without-token = Dieser Link ist unvollständig. Öffnen Sie ihn so, wie er im Brief steht.
sign-in-wrong = E-Mail oder Passwort ist falsch. Gehört Ihre E-Mail zu mehreren Organisationen, geben Sie auch die Organisations-ID an.
session-ends = Die Anmeldung endet: { $time }. Vorher ab- und wieder anmelden, wenn das ungelegen ist.

## Karte

map = Karte
assets = Maschinen
assets-and-people = Maschinen und Personen
find-asset = Maschine nach Namen suchen
find-asset-or-person = Maschine oder Person suchen
people = Personen
person-moving = Unterwegs
last-seen-ago = Zuletzt gesehen { $ago }
close = Schließen
by-state = Nach Zustand
state-moving = Fährt
state-standing = Steht
state-silent = Still
state-unknown = Ohne Position
no-assets = Es gibt noch keine Maschinen. Legen Sie eine an und setzen Sie einen Tracker darauf: Ihre Position erscheint hier von selbst.
first-steps = Erste Schritte
step-machine = Eine Maschine anlegen
step-device = Ihr Gerät einrichten, wie es gezeigt wird
step-position = Die erste Position kommt von selbst
step-zone = Eine Zone auf ihrem Weg zeichnen
step-alert = Hineinfahren: die erste Meldung
step-done = (getan)
hide = Ausblenden
none-found = Keine Maschine passt. Nehmen Sie einen Filter weg.
map-tiles-failed = Die Straßenkarte ist nicht erreichbar: Land und Grenzen sind zu sehen.
no-webgl = Dieser Browser kann die Karte nicht zeichnen (WebGL fehlt). Die Liste hat alles, was die Karte zeigt.
just-now = gerade eben
seconds-ago = vor { $count } s
minutes-ago = vor { $count } min
hours-ago = vor { $count } h
days-ago = { $count ->
    [one] vor { $count } Tag
   *[other] vor { $count } Tagen
}
live-lost = Die Verbindung ist unterbrochen: Was Sie sehen, ist nicht live. Sie wird von selbst neu versucht.
live-lost-restarting = Der Server startet neu: Was Sie sehen, ist nicht live. Es geht von selbst weiter.
live-lost-too-slow = Ihre Verbindung war zu langsam für alles, was geschieht. Es geht von selbst weiter.
live-lost-too-many-connections = Ihre Organisation hat so viele Live-Verbindungen, wie ihr Plan erlaubt: Schließen Sie eine andere Seite.
live-lost-employees-not-shown = Ihre Organisation zeigt Personen nicht mehr auf der Karte. Alles andere geht von selbst weiter.
live-ended = Die Live-Verbindung ist beendet. Laden Sie die Seite neu.
live-ended-forbidden = Ihre Rechte haben sich geändert. Laden Sie die Seite neu, um zu sehen, was Sie jetzt sehen dürfen.
live-ended-plan-required = Ihr Plan hat keine Live-Positionen.
connect-now = Jetzt versuchen

## Verlauf

history = Verlauf
choose-asset = Maschine wählen
from = Von
to = Bis
no-fixes = Aus dieser Zeit gibt es keine Positionen.
zones-then = Die Zonen sind so gezeigt, wie sie in diesem Augenblick waren. Heute sind diese anders:
zone-then-deleted = ist gelöscht
zone-then-changed = ist geändert: { $what }
zones-then-more = und { $count } weitere
only-newest-fixes = Das sind die neuesten { $count } Positionen: Wählen Sie eine kürzere Zeit.
greatest-speed = Geschwindigkeiten, höchstens
instant = Zeitpunkt
play = Abspielen
pause = Anhalten
pace = Tempo
take-away = Entfernen
beside-it = Daneben
nobody-beside = Keine andere Maschine
day = Fahrten und Halte
day-sum = { $count ->
    [one] 1 Fahrt, { $distance }
   *[other] { $count } Fahrten, { $distance }
}
day-open = dauert an
trip = Fahrt
trip-from = Fahrt ab { $from }
trip-to = Fahrt nach { $to }
trip-from-to = { $from } nach { $to }
trip-top = bis { $speed }
trip-carried = getragen, Motor aus
trip-gap = mit einer Lücke
stop = Halt
stop-in = Halt: { $zone }
stop-idle = Motor an für { $time }
visits = Besuche

## Zonen

zones = Zonen
no-zones = Es gibt noch keine Zonen. Zeichnen Sie die erste.
draw = Eine Zone zeichnen
draw-polygon = Fläche
draw-point = Kreis
draw-linestring = Korridor
draw-polygon-hint = Klicken Sie die Ecken auf der Karte, und zuletzt noch einmal die erste. Danach lassen sie sich verschieben.
draw-point-hint = Klicken Sie die Mitte auf der Karte, oder geben Sie sie in Zahlen an.
draw-linestring-hint = Klicken Sie den Weg entlang auf der Karte, und zuletzt noch einmal das Ende.
change-hint = Verschieben Sie die Ecken auf der Karte. Was schon angekommen ist, bleibt so beurteilt, wie es war.
kind = Art
kind-restricted = Gesperrt: Betreten alarmiert
kind-allowed = Erlaubt: Verlassen alarmiert
kind-jobsite = Baustelle
kind-yard = Hof
kind-other = Andere
radius = Radius, m
width = Breite, m
latitude = Breitengrad
longitude = Längengrad
save = Speichern
cancel = Abbrechen
change = Ändern
delete = Löschen
not-drawable = Diese Zone hat mehrere Teile oder ein Loch: Ihre Form wird über die API geändert.
all-zones = Alle Zonen
kind-hint = Wozu die Zone da ist. Die Art bestimmt, was alarmiert, wenn unten nichts anderes gewählt ist.
area = { NUMBER($hectares, maximumFractionDigits: 2) } ha
number-wanted = Hier gehört eine Zahl hin.
what-alerts = Alarme
what-alerts-hint = Was eine Maschine tun muss, damit ein Verstoß gemeldet wird.
alerts-by-kind = Wie bei dieser Art üblich
alerts-own = Hier gewählt
alert-enter = Hineinfahren
alert-exit = Verlassen
alert-pass-through = Durchfahren
alert-none = nichts alarmiert
machines = Maschinen
machines-hint = Andere Maschinen werden in dieser Zone nicht beachtet.
machines-all = Alle Maschinen
machines-some = Nur einige
machines-tags = Mit einem dieser Schlagwörter
machines-tags-hint = Durch Kommas getrennt: Kran, gemietet. Maschinen, die es später bekommen, zählen auch.
hours = Zeiten
hours-hint = Außerhalb dieser Zeiten alarmiert nichts; Besuche werden trotzdem festgehalten.
hours-always = Immer
hours-chosen = Zu bestimmten Zeiten der Woche
hours-number = Zeiten { $number }
hours-add = Zeiten hinzufügen
time-zone-hint = Wo die Zone liegt, damit die Zeiten ihrer Sommerzeit folgen.
days = Tage
remove = Entfernen
speed-limit = Höchstgeschwindigkeit, km/h
speed-limit-hint = Die erste schnellere Position eines Besuchs alarmiert. Leer: keine Grenze.
dwell = Langer Aufenthalt, Minuten
dwell-hint = Nach dieser Zeit in der Zone wird einmal alarmiert. Leer: nie.
silence = Ende durch Stille, Minuten
silence-hint = So lange nach der letzten Position endet ein Besuch. Leer: nie.
fine-rules = Wann sie als betreten oder verlassen gilt
fine-rules-hint = Was leer ist, gilt wie in der Organisation eingestellt.
exit-buffer = Rand beim Verlassen, m
exit-buffer-hint = Erst so weit außerhalb gilt sie als verlassen. Das hilft an Kanten, an denen Maschinen entlangfahren.
enter-fixes = Positionen zum Betreten
enter-fixes-hint = So viele Positionen hintereinander müssen innen liegen; ohne Angabe eine.
enter-seconds = Sekunden zum Betreten
enter-seconds-hint = So lange müssen sie innen liegen, von der ersten bis zur letzten.
exit-fixes = Positionen zum Verlassen
exit-fixes-hint = So viele Positionen hintereinander müssen außen liegen; ohne Angabe zwei.
exit-seconds = Sekunden zum Verlassen
exit-seconds-hint = So lange müssen sie außen liegen, von der ersten bis zur letzten.
max-gap = Längste Lücke, Sekunden
max-gap-hint = Weiter auseinanderliegende Positionen zeigen keine Durchfahrt dazwischen; ohne Angabe 120.
pass-min = Kürzeste Durchfahrt, m
pass-min-hint = Ein kürzerer Weg durch die Zone wird nicht gemeldet.
coarse-accuracy = Grob ab, m
coarse-accuracy-hint = Eine ungenauere Position zählt nur tief innen oder weit außen; ohne Angabe 30.
accuracy-clamp = Rand durch Genauigkeit, höchstens, m
accuracy-clamp-hint = Die Genauigkeit einer Position kommt zum Rand beim Verlassen hinzu, höchstens so viel.
punch-tolerance = Rand beim Stempeln, m
punch-tolerance-hint = Wer so weit außerhalb stempelt, gilt noch als dort.
shape = Form
inside-now = Jetzt in der Zone
nobody-inside = Gerade ist niemand in der Zone.
last-visits = Letzte Besuche
no-visits = Hier ist noch kein Besuch zu Ende gegangen. Sobald eine Maschine kommt und geht, steht er hier.
lasted-seconds = { $seconds } s
lasted-minutes = { $minutes } min
lasted-hours = { $hours } h { $minutes } min
mark-dwell = blieb lange
mark-overspeed = { $speed } km/h
mark-silence = verstummt
mark-zone-changed = Zone wurde geändert
mark-reassigned = anderer Tracker
versions = Versionen
versions-hint = Gewählt erscheint eine auf der Karte. Positionen werden nach der Version ihrer Zeit beurteilt.
version-number = Version { $number }
version-first = angelegt
restored = wiederhergestellt
past = Wer war hier
past-hint = Nach den gespeicherten Positionen und der Zone, wie sie jetzt ist, auch vor ihrer Zeichnung.
past-days = Zeitraum
past-none = Zeitraum wählen
past-last = { $days ->
    [one] die letzten 24 Stunden
   *[other] die letzten { $days } Tage
}
past-nobody = Niemand war hier.
past-cut = Es gab mehr, als gezeigt werden kann: einen kürzeren Zeitraum wählen oder alles als Datei vorbereiten lassen.
try = An den letzten 24 Stunden erproben
trial = Die letzten 24 Stunden
trial-counts = { $machines ->
    [one] { $machines } Maschine
   *[other] { $machines } Maschinen
} und { $fixes ->
    [one] { $fixes } Position wurden betrachtet. Nichts wurde gespeichert.
   *[other] { $fixes } Positionen wurden betrachtet. Nichts wurde gespeichert.
}
trial-told = { $alerts ->
    [0] Nichts hätte alarmiert
    [one] { $alerts } Alarm
   *[other] { $alerts } Alarme
}; { $enters } Mal betreten, davon { $passes } Mal nur durchfahren.
trial-cut = Es gab mehr, als hier betrachtet werden kann: Maschinen, Positionen oder Ergebnisse fehlen.
trial-alerts = alarmiert
told-enter = hineingefahren
told-exit = hinausgefahren
told-dwell = blieb lange
told-overspeed = fuhr zu schnell
told-schedule = war am falschen Ort, als die Zeiten begannen
import = Zonen importieren
import-file = Eine Datei mit Zonen
import-hint = GeoJSON, KML oder GPX, bis 5 MB. Sie wird hier gelesen; angelegt wird erst auf Knopfdruck.
import-kind-hint = Die Art aller Zonen dieser Datei, die selbst keine nennen.
import-radius-hint = Punkte der Datei werden Kreise mit diesem Radius.
import-width-hint = Linien der Datei werden Korridore dieser Breite, beide Seiten zusammen.
import-nothing = In dieser Datei ist nichts, was eine Zone sein kann.
import-found = Was gefunden wurde
import-make = { $count ->
    [one] { $count } Zone anlegen
   *[other] { $count } Zonen anlegen
}
import-made = { $count ->
    [one] { $count } Zone wurde angelegt.
   *[other] { $count } Zonen wurden angelegt.
}
result = Ergebnis
row-made = Angelegt
row-without-shape = Ohne Form, die eine Zone sein kann.
shape-polygon = Fläche
shape-multipolygon = Flächen
shape-point = Kreis
shape-linestring = Korridor
file-too-large = Die Datei ist größer als 5 MB. Teilen hilft, oder weniger Punkte.
file-has-too-many = Die Datei hat mehr als 5000 Formen: sie muss geteilt werden.
file-unreadable = Die Datei lässt sich nicht lesen: Sie ist beschädigt oder nicht vollständig.
file-of-another-kind = Das ist kein GeoJSON, KML oder GPX. Eine KMZ-Datei muss zuerst entpackt werden.
export = Als { $format } sichern
fetch-file = Datei holen
export-later = Als { $format } vorbereiten
export-later-hint = Für große: Sie können die Seite inzwischen verlassen. Die Datei wird eine Woche aufgehoben und steht bei den Importen.

## Verstöße

breaches = Verstöße
no-breaches = An Ihren Zonen ist noch nichts geschehen. Was geschieht, erscheint hier von selbst.
older = Ältere
on-the-map = Auf der Karte
accuracy = ± { $length }
breach-enter = betrat
breach-exit = verließ
breach-dwell = ist schon lange in
breach-overspeed = fährt zu schnell in
mark-late = kam spät
mark-segment = zwischen Positionen
mark-timer = durch Zeitablauf
mark-initial = war schon dort
mark-schedule = die Zeiten der Zone begannen

## Meldungen

alerts = Meldungen
alerts-hint = Was sich jemand ansehen muss: eine für jeden Aufenthalt, der meldet. Wer eine übernimmt, sehen alle.
alerts-open = Offen
alerts-mine = Meine
alerts-resolved = Erledigt
alert-sound = Ein Ton, wenn etwas meldet, solange eine Seite offen ist
no-alerts-open = Nichts ist offen. Was an den Zonen geschieht, erscheint hier von selbst.
no-alerts-mine = Nichts ist übernommen. Eine offene Meldung kann übernommen werden.
no-alerts-resolved = Noch ist nichts erledigt.
breach-schedule-started = ist am falschen Ort nach den Zeiten von
mark-retracted = war nie: eine späte Position zeigt es
alert-new = Neu
alert-acknowledged = Zur Kenntnis genommen
alert-assigned = Bei { $name }
alert-resolved = Erledigt
acknowledge = Zur Kenntnis nehmen
take = Übernehmen
resolve = Erledigt
open-again = Wieder öffnen
details = Einzelheiten
still-there = noch dort
at-that-moment = In jenem Moment
log = Was getan wurde
log-new = geöffnet
log-acknowledged = zur Kenntnis genommen
log-assigned = zugewiesen
log-resolved = erledigt
by-itself = von selbst
assigned-to = Zugewiesen an
nobody = Niemand
remark = Bemerkung
write = Schreiben
sent-nowhere = Kein Endpunkt will dieses Ereignis.

## Tracker

trackers = Tracker
trackers-hint = Fügen Sie eine Maschine hinzu: Sie erhält einen eigenen Tracker, und Sie sehen, wie sein Gerät eingerichtet wird.
tracker = Tracker
asset = Maschine
name-of-machine = Name der Maschine
imei = IMEI einer Box
imei-wrong-check-digit = Die letzte Ziffer prüft die anderen nicht. Vergleichen Sie sie mit der Box: manche Hersteller nummerieren so.
imei-hint = Nur wenn das Gerät eine Box ohne Geheimnis ist, die über TCP oder UDP sendet: 15 Ziffern, oder die 10 eines Geräts, das H02 spricht.
external-id = Kennung im Gateway (external_id)
external-id-hint = Nur wenn ein Gateway für das Gerät weiterleitet: die IMEI oder DevEUI, wie das Gateway sie schreibt.
add-machine = Maschine hinzufügen
no-trackers = Es gibt noch keine Tracker. Fügen Sie eine Maschine hinzu.
connected = Verbunden
never-seen = Noch nichts von ihm gehört
last-seen = Zuletzt gehört am { $time }
revoked = Widerrufen
set-up-by-gateway = Wenn ein Gateway für dieses Gerät weiterleitet, braucht es nichts davon.
set-up-hint = Geben Sie dem Gerät diese Angaben, und lassen Sie es per MQTT senden.
user-name = Benutzername
password-once = Passwort, nur dieses eine Mal gezeigt
topic = Topic
address-by-http = Oder die Adresse für Traccar Client und OsmAnd
set-up-code = QR-Code, der die App { $app } einrichtet
set-up-code-hint = Ein Telefon als Tracker: die App { $app } installieren und dies scannen. Dann ist sie eingerichtet.
set-up-this-phone = { $app } auf diesem Telefon einrichten
encryption = Verschlüsselung
encryption-of = Verschlüsselung von „{ $name }“
encryption-key = Schlüssel von OwnTracks
encryption-key-hint = Der Schlüssel, der in der App eingetragen ist, 1 bis 32 Byte. Er wird nicht noch einmal gezeigt.
has-encryption-key = Es gibt einen Schlüssel: Was die App verschlüsselt, wird gelesen.
no-encryption-key = Es gibt keinen Schlüssel: Was eine App verschlüsselt, bleibt in Quarantäne.
remove-encryption-key = Schlüssel entfernen
set-up-again = Neu einrichten
sure-set-up = „{ $name }“ ein neues Passwort geben? Das Gerät ist getrennt, bis es das hat.
set-up-example = Oder versuchen Sie es von hier, mit Host und Port Ihres Listeners:
waiting-for-fix = Wartet auf die erste Position …
first-fix-came = Die erste Position ist da. Die Maschine steht auf der Karte.
commands = Befehle
commands-of = Befehle an „{ $name }“
command = Befehl
command-hint = Wie das Gerät ihn versteht: „getinfo“ bei Teltonika, „STATUS#“ bei GT06, „reportLocation“ bei OwnTracks. Er wartet bis zu 24 Stunden, bis das Gerät verbunden ist. Senden Sie keine Geheimnisse: Wer eine IMEI kennt, kann sie lesen.
command-repeatable = Noch einmal senden, wenn keine Antwort kommt
command-repeatable-hint = Nur, was auch zweimal nicht schadet.
send-command = Befehl senden
no-commands = An diesen Tracker wurde noch kein Befehl gesendet.
command-queued = Wartet auf das Gerät
command-sent = Gesendet
command-answered = Beantwortet
command-unanswered = Nicht beantwortet
command-expired = Abgelaufen
command-cancelled = Abgebrochen
command-until = bis { $time }
command-sends = { $count }-mal gesendet

## Gateways

gateways = Gateways
no-gateways = Es gibt noch keine Gateways. Ein Gateway ist ein Server, der die Positionen vieler Geräte weiterleitet: Registrieren Sie jedes Gerät als Tracker, mit der Kennung, unter der das Gateway es kennt, als external_id.
add-gateway = Gateway hinzufügen
gateway-active = Aktiv
gateway-shown-once = Die Adresse für „{ $name }“, mit ihrem Schlüssel. Kopieren Sie sie jetzt: Sie wird nur dieses eine Mal gezeigt.
gateway-set-up-traccar = Schreiben Sie dies in traccar.xml, und starten Sie Traccar neu:
gateway-set-up-chirpstack = Fügen Sie in ChirpStack der Anwendung die Integration HTTP hinzu:
gateway-set-up-tts = Fügen Sie in The Things Stack der Anwendung einen eigenen Webhook (Custom webhook) hinzu. Die Pfade der Ereignisse bleiben leer:
gateway-set-up-generic = Senden Sie jede Position als Nachricht in JSON an die Adresse; die Zuordnung sagt, wie sie gelesen wird:
gateway-code = QR-Code der Adresse
gateway-code-hint = Die Adresse als Code, für ein Programm auf einem Telefon oder Tablet. Er enthält den Schlüssel.
gateway-last-seen = Letzte Nachricht
gateway-by-mqtt = Oder über MQTT, an den Listener:
mqtt-server = Server
mapping = Wo die Werte einer Nachricht stehen (Zuordnung)
mapping-hint = JSON: zu jedem Wert ein Pfad, etwa /gps/lat, und Einheiten. Die Seite über Gateways in der Dokumentation hat alle.
mapping-not-json = Die Zuordnung ist kein JSON.
auto-register = Geräte registrieren, sobald sie senden
auto-register-hint = Ein Muster ihrer Kennungen, mit * und ?; leer: keine. Höchstens 100 in einer Stunde.
change-gateway = „{ $name }“ ändern
gateway-address = die Adresse oben
gateway-devices = Fügen Sie dann jedes Gerät als Maschine hinzu, mit seiner { $id } als external_id, so geschrieben wie im Gateway:
gateway-devices-that-send = Oder schalten Sie die Geräte ein, und registrieren Sie, was erscheint:
new-key = Neuer Schlüssel
sure-new-key = „{ $name }“ einen neuen Schlüssel geben? Das Gateway kann nichts senden, bis es die neue Adresse hat.

## Unbekannte Geräte

unknown-devices = Unbekannte Geräte
unknown-devices-hint = Geräte, die senden wollen und nicht eingelassen werden. Schalten Sie ein Gerät ein: Es erscheint hier innerhalb von Sekunden.
no-unknown-devices = Es gibt keine unbekannten Geräte. Was ein Gateway für ein Gerät weiterleitet, das niemand registriert hat, erscheint hier, ebenso Tracker, die sich mit einem falschen Passwort anmelden.
no-unknown-device-fits = Kein unbekanntes Gerät hat diesen Grund.
unknown-not-registered = Nicht registriert
unknown-not-registered-hint = Kein Tracker hat diese Kennung.
unknown-wrong-secret = Falsches Passwort
unknown-wrong-secret-hint = Geben Sie dem Gerät sein Passwort, oder richten Sie es neu ein:
unknown-revoked = Widerrufen
unknown-revoked-hint = Der Tracker wurde widerrufen, und zwar endgültig.
device = Gerät
came-by = Kam über
device-last-seen = Zuletzt gesehen
first-seen = zuerst am { $time }
last-position = Letzte Position
register = Registrieren
register-device = { $name } registrieren
register-hint = Eine neue Maschine erhält dieses Gerät als Tracker.
device-registered = „{ $name }“ ist registriert. Die Maschine steht mit ihrer nächsten Position auf der Karte.
forget = Vergessen
sure-forget = „{ $name }“ vergessen? Das Gerät kommt wieder, wenn es erneut gesehen wird.

## Importe

imports = Importe
imports-hint = Maschinen und Tracker aus einer Tabelle, und aufgezeichnete Wege von Maschinen. Auch Löschungen von Positionen und Exporte sind aufgeführt. Hier stehen die neuesten 100 der letzten Woche.
no-imports = In der letzten Woche wurde nichts importiert.
new-import = Eine Datei importieren
job-kind = Was
job-import-assets = Maschinen aus CSV
job-import-assets-hint = Die erste Zeile nennt die Felder: external_id,name,asset_class,tags. Jede Zeile ist eine Maschine mit ihrer eigenen external_id. Bis 2 MiB.
job-import-trackers = Tracker aus CSV
job-import-trackers-hint = Die erste Zeile nennt die Felder: external_id,name,imei. Jede Zeile ist ein Tracker mit seiner eigenen external_id. Bis 2 MiB.
job-upload-track = Weg einer Maschine
job-upload-track-hint = GPX, KML, CSV, GeoJSON oder NMEA, mit Zeiten. Bis 20 MB.
job-erase-positions = Positionen einer Person
job-export = Export
job-file = Datei
track-webhooks = Seine Ereignisse auch an Webhooks senden
track-webhooks-hint = Sonst erfährt kein Webhook, was damals geschah. Meldungen gibt es in jedem Fall.
check-file = Nur prüfen
do-import = Importieren
upload = Hochladen
track-of-another-kind = Der Name der Datei muss auf .gpx, .kml, .csv, .geojson, .nmea oder .txt enden.
check-found = { $good } { $good ->
    [one] Zeile ist
   *[other] Zeilen sind
} gut, { $known } schon bekannt, { $faulty } fehlerhaft. Nichts wurde geschrieben.
job-made = Der Auftrag läuft: Unten steht, wie weit er ist.
job-waiting = Wartet
job-running = Wird abgearbeitet
job-done = Fertig
job-failed = Fehlgeschlagen
job-cancelled = Abgebrochen
job-reads = liest die Datei
job-progress = { $done } von { $total }
job-erases = { $done } gelöscht
job-writes = bisher { $done } Zeilen
lines-written = { $count } angelegt
points-written = { $count ->
    [one] { $count } Punkt
   *[other] { $count } Punkte
}
positions-erased = { $count } gelöscht
rows-written = { $count } Zeilen
job-known = { $count } schon bekannt
job-conflicts = { $count } mit einer anderen Position zu ihrer Zeit
job-faults = Was ausgelassen wurde
job-more-faults = Es gibt weitere, die nicht aufgeführt sind.
fault-line = Zeile { $line }
sure-cancel-job = Abbrechen? Was schon geschrieben ist, bleibt.
sure-cancel-erasure = Abbrechen? Was schon gelöscht ist, ist weg.

## Benutzer

users = Benutzer
users-hint = Wen Sie einladen, der erhält einen Brief mit einem Link und wählt darüber ein Passwort.
role = Rolle
role-of = Rolle von { $name }
role-viewer = Betrachter
role-technician = Techniker
role-dispatcher = Disponent
role-admin = Administrator
state = Zustand
user-active = Aktiv
user-invited = Eingeladen
service-user = Für ein Programm
service-user-hint = Erhält weder Brief noch Passwort; API-Schlüssel handeln als dieser Benutzer.
user-service = Für Programme
user-deactivated = Darf sich nicht anmelden
invite = Einladen
invite-again = Brief noch einmal senden
invitation-is-sent = Der Brief ist unterwegs.
activate = Wieder zulassen
deactivate = Abschalten

## Webhooks

webhooks = Webhooks
webhooks-hint = Jedes Ereignis wird signiert an Ihre Adressen gesendet, bis es angenommen ist. Eine neue erhält alle Arten.
address = Adresse
event-type = Ereignis
event-types = Ereignisse
make-endpoint = Adresse hinzufügen
secret-shown-once = Das ist das Geheimnis, mit dem Ihr Programm Signaturen prüft. Kopieren Sie es jetzt: Es wird nur dieses eine Mal gezeigt.
no-endpoints = Noch erhält keines Ihrer Programme Ereignisse. Fügen Sie die Adresse von einem hinzu.
endpoint-active = Aktiv
endpoint-failing = Aktiv, aber zurzeit wird nichts angenommen
endpoint-disabled-user = Abgeschaltet
endpoint-disabled-failures = Abgeschaltet: Tagelang wurde nichts angenommen
endpoint-disabled-gone = Abgeschaltet: Die Adresse antwortete 410 Gone
endpoint-disabled-backlog = Abgeschaltet: Es wartete zu viel darauf
send-test = Testereignis senden
test-event = Test
deliveries = Zustellungen
no-deliveries = An diese Adresse wurde noch nichts gesendet. Senden Sie ein Testereignis.
delivery-pending = Wartet
delivery-delivered = Angenommen
delivery-failed = Aufgegeben
attempts = Versuche
attempted = Wann
answer = Antwort
answer-text = Was geantwortet wurde
duration = Dauer
no-attempts = Es wurde noch nichts versucht.
send-again = Noch einmal senden

## API-Schlüssel

api-keys = API-Schlüssel
api-keys-hint = Mit einem Schlüssel handelt ein Programm als ein Benutzer. Geben Sie jedem Programm einen eigenen, und widerrufen Sie die, die niemand braucht.
make-key = Schlüssel erstellen
key-shown-once = Das ist der Schlüssel. Kopieren Sie ihn jetzt: Er wird nur dieses eine Mal gezeigt.
no-keys = Es gibt noch keine Schlüssel. Geben Sie einem den Namen dessen, wofür er ist, und erstellen Sie ihn.
last-used = Zuletzt benutzt
revoke = Widerrufen

## Organisation

organization = Organisation
on-this-page = Auf dieser Seite
only-admins-change = Administratoren ändern diese Einstellungen. Hier steht, was gilt.
saved = Gespeichert.

name-and-address = Name und Adresse
set-name-hint = Dokumente und Briefe zeigen ihn.
set-timezone = Zeitzone
set-timezone-hint = Wo die Organisation zu Hause ist, etwa Europe/Zurich. Tage und Stunden zählen danach.
set-language-hint = Für Dokumente und Briefe, und für die Seiten aller, die keine andere gewählt haben. Nicht gewählt: Dokumente und Briefe sind auf Englisch, Seiten in der Sprache des Browsers.
set-address = Adresse
set-address-hint = Wie Dokumente sie zeigen, bis zu 8 Zeilen.
set-email = E-Mail des Büros
set-email-hint = Dorthin gehen Antworten von Kunden und angenommene Angebote. Leer: Angenommene Angebote gehen an die Administratoren.

logo = Logo
logo-hint = Angebote, Arbeitsaufträge, Prüfungen und Stundenzettel zeigen es: ein PNG, JPEG oder WebP bis 1 MB.
no-logo = Es gibt kein Logo.
choose-logo = Bild auswählen
change-logo = Anderes Bild auswählen

plan-and-usage = Plan und Nutzung
plan = Plan
plan-starter = Starter
plan-team = Team
plan-unlimited = Unlimited
programs = Programme
programs-may = dürfen die API nutzen
programs-may-not = dürfen die API nicht nutzen: Der Plan hat sie nicht
requests-per-minute = Anfragen je Minute
no-limit = keine Grenze
left-of-minute = { $count } übrig in dieser Minute
requests-of-programs = Anfragen von Programmen, letzte 24 Stunden
requests-and-refused = { $requests } zugelassen, { $refused } wegen der Grenze abgelehnt
quotas = Kontingente
quotas-hint = Wie viel es von allem gibt, das Nächste an seiner Grenze zuerst. Gelöschtes zählt mit, weil es aufbewahrt wird. Was über eine Grenze geht, wird abgelehnt.
quota = Wovon
used = Genutzt
used-of-limit = { $used } von { $limit }
quota-api-keys = API-Schlüssel
quota-assets = Maschinen
quota-attachment-bytes = Größe der Anhänge
quota-attachments = Anhänge
quota-clients = Kunden
quota-employees = Mitarbeiter
quota-gateways = Gateways
quota-inspection-forms-a-day = Prüfungen in 24 Stunden
quota-inspection-templates = Prüfvorlagen
quota-inventory = Lagerbestände
quota-letters-a-day = Briefe am Tag
quota-parts = Teile
quota-quotes = Angebote
quota-sites = Baustellen
quota-stock-movements-a-day = Bewegungen eines Teils am Tag
quota-trackers = Tracker
quota-users = Benutzer
quota-warehouses = Lager
quota-webhook-endpoints = Webhook-Adressen
quota-work-orders = Arbeitsaufträge
quota-zones = Zonen

fixes-and-zones = Positionen und Zonen
fixes-and-zones-hint = Wo ein Feld leer ist, gilt die Vorgabe, die es grau zeigt. Eine Änderung gilt für Positionen, die danach eintreffen.
set-max-accuracy-m = Schlechteste Genauigkeit
set-max-accuracy-m-hint = Eine Position mit schlechterer Genauigkeit wird gespeichert, ändert aber keinen Besuch und keine Zonenmeldung.
max-speeds = Höchste Geschwindigkeiten
max-speeds-hint = Eine Position, die nur schneller zu erreichen gewesen wäre, gilt als zweifelhaft und ändert nichts.
set-max-speed-mps-vehicle = Fahrzeuge
set-max-speed-mps-aircraft = Luftfahrzeuge
set-max-speed-mps-vessel = Schiffe
set-max-speed-mps-person = Personen
set-max-speed-mps-other = Andere
zone-rules = Zonen betreten und verlassen
zone-rules-hint = Das gilt in jeder Zone, die keine eigene Regel hat.
set-exit-buffer-m = Puffer außerhalb
set-exit-buffer-m-hint = Eine Zone ist erst verlassen, wenn die Maschine so weit außerhalb ist.
set-accuracy-clamp-m = Genauigkeit höchstens
set-accuracy-clamp-m-hint = Die Genauigkeit einer Position kommt zum Puffer hinzu, bis zu diesem Wert.
set-coarse-accuracy-m = Grob ab
set-coarse-accuracy-m-hint = Eine ungenauere Position zählt nur, wenn sie tief innerhalb oder weit außerhalb liegt.
set-enter-confirm-fixes = Positionen zum Betreten
set-enter-confirm-fixes-hint = So viele Positionen hintereinander sind ein Betreten.
set-exit-confirm-fixes = Positionen zum Verlassen
set-exit-confirm-fixes-hint = So viele Positionen hintereinander sind ein Verlassen.
set-enter-confirm-seconds = Zeit zum Betreten
set-enter-confirm-seconds-hint = Die kürzeste Zeit von der ersten dieser Positionen bis zur letzten.
set-exit-confirm-seconds = Zeit zum Verlassen
set-exit-confirm-seconds-hint = Die kürzeste Zeit von der ersten dieser Positionen bis zur letzten.
set-max-gap-seconds = Längste Lücke
set-max-gap-seconds-hint = Eine Durchfahrt zwischen zwei Positionen wird nur gemeldet, wenn sie nicht weiter auseinanderliegen; 0 meldet keine.
set-pass-min-m = Kürzeste Durchfahrt
set-pass-min-m-hint = Der kürzeste Weg in einer Zone, der als Durchfahrt zählt.

events-of-trips = Ereignisse von Fahrten
events-of-trips-hint = Fahrten und Halte sind so oder so auf der Karte und in Berichten. Hier wählen Sie, ob sie auch gemeldet werden, sobald sie bekannt sind.
set-trip-events = Melden, wann Maschinen abfahren, ankommen und halten
set-trip-events-hint = Fahrten und Halte werden zu Ereignissen: Programme erfahren sie per Webhook und API. Vergangenes wird nicht gemeldet. Telefone von Mitarbeitern bleiben außen vor.
employees-on-map = Personen auf der Karte
employees-on-map-hint = Ist das Telefon eines Mitarbeiters als Tracker eingerichtet, sendet es seine Position, und diese Positionen werden gespeichert. Hier wählen Sie, ob jemand sie sieht.
set-shows-employees = Disponenten und Administratoren sehen, wo Mitarbeiter sind
set-shows-employees-hint = Sie sehen es jederzeit auf der Karte, auch außerhalb der Arbeitszeit, solange das Telefon sendet. Sagen Sie es den Mitarbeitern vorher: Im Protokoll steht, wer es wann eingeschaltet hat. Aus: Niemand sieht es, und die neuesten Positionen werden entfernt.
punches = Stempelungen
punches-hint = Wie der Ort einer Stempelung beurteilt wird. Eine Änderung gilt für Stempelungen, die danach eintreffen.
set-punch-policy = Stempelungen, die nicht bestätigt sind
set-punch-policy-hint = Ob jemand sie ansehen muss, bevor Stunden genehmigt werden.
policy-flag = Zur Prüfung zeigen
policy-allow = Nehmen, wie sie sind
policy-block = Keine Genehmigung vor der Prüfung
set-punch-tolerance-m = Jenseits des Randes
set-punch-tolerance-m-hint = So weit jenseits des Randes einer Baustelle gilt eine Stempelung noch als dort.
set-punch-rules-max-fix-age-s = Älteste Position
set-punch-rules-max-fix-age-s-hint = Eine ältere Position beweist nicht, wo jemand ist.
set-punch-rules-max-clock-error-s = Fehler einer Uhr
set-punch-rules-max-clock-error-s-hint = So weit darf die angegebene Zeit vom Empfang oder von der Position abweichen.
set-punch-rules-max-speed-mps = Höchste Geschwindigkeit
set-punch-rules-max-speed-mps-hint = Schneller zwischen zwei Orten ist ein Sprung, der gegen die Stempelung spricht.
set-punch-rules-max-flight-mps = Geschwindigkeit eines Fluges
set-punch-rules-max-flight-mps-hint = Ein Sprung darunter kann ein Flug gewesen sein, wenn er lange genug dauerte.
set-punch-rules-min-flight-s = Kürzester Flug
set-punch-rules-min-flight-s-hint = Die kürzeste Dauer eines solchen Fluges.

hours-and-pay = Stunden und Lohn
hours-and-pay-hint = Wie Stundenzettel geteilt und gezählt werden. Ein genehmigter Stundenzettel bleibt, wie er ist.
set-period = Zeitraum
set-period-hint = Die Tage, die zusammen genehmigt werden.
period-week = Eine Woche
period-two-weeks = Zwei Wochen
period-month = Ein Monat
set-first-weekday = Erster Tag der Woche
set-first-weekday-hint = Von ihm an zählen die Überstunden der Woche.
set-anchor = Erster Tag irgendeines Zeitraums
set-anchor-hint = Zeiträume von zwei Wochen zählen von diesem Tag an, vor und zurück.
set-timesheet-rules-longest-shift-s = Längste Schicht
set-timesheet-rules-longest-shift-s-hint = Eine Schicht, die niemand beendet, endet nach dieser Zeit.
set-cuts-at-midnight = Schichten um Mitternacht teilen
set-cuts-at-midnight-hint = Sonst zählt die ganze Schicht zu dem Tag, an dem sie begann.
set-closes-at-midnight = Schichten um Mitternacht beenden
set-closes-at-midnight-hint = Eine Schicht, die noch offen ist, endet um Mitternacht.
overtime = Überstunden
set-overtime = Schwellen
set-overtime-hint = Ab wann Stunden als Überstunden zählen.
overtime-none = Keine Überstunden
overtime-us-flsa = USA, FLSA: 40 h je Woche
overtime-us-california = Kalifornien: 8 h am Tag, 40 h je Woche
overtime-ch-45 = Schweiz: 45 h je Woche
overtime-eu-48 = Europäische Union: 48 h je Woche
overtime-own = Eigene Schwellen
set-timesheet-rules-overtime-daily-s = Stunden am Tag
set-timesheet-rules-overtime-daily-s-hint = Arbeit eines Tages darüber hinaus sind Überstunden.
set-timesheet-rules-overtime-double-daily-s = Doppelt ab
set-timesheet-rules-overtime-double-daily-s-hint = Arbeit eines Tages darüber hinaus zählt doppelt.
set-timesheet-rules-overtime-weekly-s = Stunden je Woche
set-timesheet-rules-overtime-weekly-s-hint = Normale Stunden einer Woche darüber hinaus sind Überstunden.
set-seventh-day = Der siebte Tag zählt
set-seventh-day-hint = Wer an allen sieben Tagen einer Woche arbeitete, hat am letzten Überstunden.
rounding = Rundung
set-step = Runden auf
set-step-hint = Zeiten gehen auf die Marken der Uhr, die so weit auseinanderliegen.
not-rounded = Nicht gerundet
minutes = { $count ->
    [one] { $count } Minute
   *[other] { $count } Minuten
}
set-timesheet-rules-rounding-grace-s = Kulanz
set-timesheet-rules-rounding-grace-s-hint = Eine Zeit so weit hinter einer Marke geht auf sie zurück. Leer: ein halber Schritt.
set-each = Was gerundet wird
set-each-hint = Jeder Beginn und jedes Ende, oder die Arbeit jedes Tages.
each-punch = Beginn und Ende
each-day = Die Arbeit eines Tages
breaks = Pausen
set-timesheet-rules-shortest-break-s = Kürzeste Pause
set-timesheet-rules-shortest-break-s-hint = Eine kürzere Pause zählt als Arbeit.
automatic-breaks-hint = Wo so viele Stunden ohne eine Pause dieser Länge gearbeitet wurde, wird sie abgezogen.
automatic-break = Automatische Pause { $number }
after-hours = Nach Arbeit von, h
break-minutes = Pause, min
add-break = Automatische Pause hinzufügen

retention = Aufbewahrung
retention-hint = Nach diesen Tagen werden Daten endgültig entfernt; darum legt der Betreiber des Servers sie fest.
retention-positions = Positionen
retention-events = Ereignisse
retention-audit = Änderungen (Protokoll)
retention-of-installation = so lange, wie der Server sie aufbewahrt
retention-days = { $count ->
    [one] { $count } Tag
   *[other] { $count } Tage
}

## Quarantäne und Protokoll

filters = Filter
all = Alle
show-all = Alle zeigen

quarantine = Quarantäne
quarantine-hint = Nachrichten, die eintrafen und nicht gespeichert werden konnten. Ist die Ursache behoben, können sie freigegeben werden: Sie werden beurteilt, als träfen sie jetzt ein.
no-messages = In der Quarantäne liegt nichts: Alles, was eintraf, ist gespeichert.
no-message-fits = Keine Nachricht passt. Ein Filter weniger zeigt mehr.
reason = Grund
last-received = Zuletzt empfangen
seen = Wie oft
message = Nachricht
release = Freigeben
release-all = Alle passenden freigeben
release-chosen = { $count ->
    [one] Die gewählte Nachricht freigeben
   *[other] Die { $count } gewählten freigeben
}
sure-release = Alle Nachrichten freigeben, die zu diesen Filtern passen, auch die weiterer Seiten, höchstens 10.000?
release-stop = Anhalten
releasing = Bisher { $count } freigegeben …
released-count = { $count ->
    [0] Keine wurde freigegeben.
    [one] { $count } Nachricht wurde freigegeben.
   *[other] { $count } Nachrichten wurden freigegeben.
}
release-refused = { $count ->
    [one] { $count } blieb, wie sie ist: { $why }
   *[other] { $count } blieben, wie sie sind: { $why }
}
sure-drop = Diese Nachricht endgültig entfernen?
message-kept = Aufbewahrt
message-came-back = Freigegeben und wieder abgelehnt
message-released = Freigegeben, wartet auf die Beurteilung
message-not-kept = Zu groß, um aufbewahrt zu werden
message-counted = Nur gezählt: Es waren zu viele an diesem Tag
places-in-message = Stellen in der Nachricht
size = Größe
bytes = { $count ->
    [one] { $count } Byte
   *[other] { $count } Bytes
}
reason-undecodable = Nicht lesbar
reason-undecodable-hint = Die Nachricht hat nicht das Format, oder ein Feld hat den falschen Typ. Das Gerät ist zu korrigieren; freigegeben wird sie wieder abgelehnt.
reason-no-position = Keine Position
reason-no-position-hint = Breite oder Länge fehlt. Geschieht das oft, den Empfang des Geräts prüfen; freigegeben wird sie wieder abgelehnt.
reason-bad-coordinate = Unmögliche Position
reason-bad-coordinate-hint = Die Position liegt außerhalb des Möglichen oder genau bei 0, 0. Geschieht das oft, ist das Gerät zu korrigieren.
reason-future = Aus der Zukunft
reason-future-hint = Die Zeit liegt mehr als 5 Minuten voraus. Die Uhr des Geräts stellen, oder warten und freigeben.
reason-ancient = Zu alt
reason-ancient-hint = Die Position ist von vor 2000 oder älter, als Positionen aufbewahrt werden. Der Betreiber kann eine längere Aufbewahrung einstellen.
reason-unknown-tracker = Unbekannter Tracker
reason-unknown-tracker-hint = Kein Tracker hat diese Kennung. Der Benutzername des Geräts ist zu korrigieren.
reason-revoked-tracker = Widerrufener Tracker
reason-revoked-tracker-hint = Der Tracker wurde widerrufen, und das bleibt. Das Gerät braucht einen neuen Tracker.
reason-rate = Zu viele
reason-rate-hint = Der Tracker sandte mehr, als er darf. Freigegeben werden die Nachrichten gespeichert.
reason-oversize = Zu groß
reason-oversize-hint = Die Nachricht, ihre Attribute oder eine Notiz ist zu groß. Das Gerät muss kleinere Nachrichten senden.
reason-refused-by-database = Von der Datenbank abgelehnt
reason-refused-by-database-hint = Das kann ein Fehler der Installation sein. Den Betreiber fragen, dann freigeben.
reason-wrong-topic = Falsches Topic
reason-wrong-topic-hint = Das Gerät meldet sich als ein Tracker an und sendet als ein anderer, oder auf einem Topic, das niemand liest. Das Gerät ist zu korrigieren; freigegeben wird die Nachricht wieder abgelehnt.
reason-conflict = Widerspruch
reason-conflict-hint = Eine andere Position derselben Zeit kam zuerst: ein Fehler des Geräts, oder zwei Geräte teilen sich ein Passwort. Freigegeben wird sie wieder abgelehnt.
reason-unknown-employee = Unbekannter Mitarbeiter
reason-unknown-employee-hint = Das Gerät nennt einen Mitarbeiter, den die Organisation nicht hat. Das Gerät ist zu korrigieren; freigegeben wird sie wieder abgelehnt.

audit = Protokoll
audit-hint = Wer wann was geändert hat, das Neueste zuerst. Niemand kann diese Liste ändern.
no-changes = Keine Änderung passt. Ein Filter weniger zeigt mehr.
kind-of-thing = Art
person = Person
only-of-thing = Nur Änderungen von
the-system = Das System oder sein Betreiber
by-key = mit dem Schlüssel „{ $name }“
did-insert = erstellte:
did-update = änderte:
did-delete = entfernte:
changed-fields = { $count ->
    [one] { $count } Feld
   *[other] { $count } Felder
}
changes = Änderungen
field = Feld
before = Vorher
after = Nachher
secret-changed = geändert; es ist geheim
thing-command = Befehl
thing-job = Auftrag
thing-organization = Organisation
thing-user = Benutzer
thing-api-key = API-Schlüssel
thing-sign-in = Anmeldung
thing-client = Kunde
thing-site = Baustelle
thing-employee = Mitarbeiter
thing-asset = Maschine
thing-tracker = Tracker
thing-gateway = Gateway
thing-zone = Zone
thing-attachment = Anhang
thing-punch = Stempelung
thing-timesheet = Stundenzettel
thing-part = Teil
thing-warehouse = Lager
thing-inventory = Lagerbestand
thing-quote = Angebot
thing-work-order = Arbeitsauftrag
thing-inspection-template = Prüfvorlage
thing-inspection-form = Prüfung
thing-webhook-endpoint = Webhook-Adresse

## Schlüssel und ihre Erneuerung

key-name-hint = Wofür er ist, etwa „Export jede Nacht“.
owner = Handelt als
owner-hint = Der Schlüssel darf, was dieser Benutzer darf, und endet mit ihm.
yourself = Ich selbst
made-by = erstellt von { $name }
rights = Rechte
rights-hint = Ein Programm braucht nicht mehr Rechte als nötig.
rights-all = Alle des Benutzers
rights-read = Nur lesen
rights-chosen = Nur diese
scope-read = lesen
scope-write = schreiben
expires = Läuft ab
expires-hint = Am Ende dieses Tages. Leer: nie.
expired = Abgelaufen
rotate = Erneuern
rotate-key-hint = Der Schlüssel erhält ein neues Geheimnis, das einmal gezeigt wird. Programme arbeiten mit dem alten weiter, bis es endet.
old-secret-ends = Das alte Geheimnis endet
old-secret-until = altes Geheimnis bis { $time }
overlap-0 = sofort
overlap-3600 = nach einer Stunde
overlap-86400 = nach einem Tag
overlap-604800 = nach einer Woche
overlap-2592000 = nach 30 Tagen

## Verwaltung von Webhooks

catalogue = Welche Ereignisse es gibt
catalogue-hint = Ein geöffneter Typ zeigt ein Ereignis, wie das Programm es erhält.
event-asset-geofence-breach = Eine Maschine betritt oder verlässt eine Zone, die meldet, oder ist am falschen Ort, wenn deren Zeiten beginnen.
event-asset-geofence-dwell = Eine Maschine ist so lange in einer Zone geblieben, wie die Zone es vorgibt.
event-asset-overspeed = Eine Maschine in einer Zone ist schneller, als die Zone erlaubt: beim ersten Mal eines Aufenthalts.
event-asset-visit-amended = Was über einen Besuch gemeldet wurde, stimmt nicht: Eine verspätete Position zeigt es.
event-asset-stopped = Eine Maschine steht seit fünf Minuten an einem Ort.
event-trip-started = Eine Maschine ist unterwegs.
event-trip-ended = Eine Fahrt ist zu Ende: Ihr Halt zeigt es, oder seit einer Stunde kam keine Position.
event-trip-amended = Was über eine Fahrt gemeldet wurde, stimmt nicht: Eine verspätete Position zeigt es, oder die Maschine fuhr weiter.
event-employee-punched-in = Ein Mitarbeiter beginnt die Arbeit: die Stempelung, ihr Urteil und die Belege.
event-employee-punched-out = Ein Mitarbeiter beendet die Arbeit: die Stempelung, ihr Urteil und die Belege.
event-punch-amended = Das Urteil über eine Stempelung ist ein anderes: Eine verspätete Position oder eine berichtigte Baustelle zeigt es.
event-timesheet-approved = Jemand hat einen Stundenzettel genehmigt: die zu bezahlenden Stunden.
event-stock-low = Eine Bewegung ließ ein Teil an oder unter seinem Meldebestand.
event-quote-created = Jemand hat ein Angebot oder eine Fassung davon erstellt: einen Entwurf.
event-quote-sent = Der Mailserver hat den Brief mit einem Angebot angenommen.
event-quote-accepted = Ein Kunde hat ein Angebot angenommen, oder ein Disponent hat das vermerkt.
event-quote-declined = Ein Kunde hat ein Angebot abgelehnt, oder ein Disponent hat das vermerkt.
event-quote-expired = Der letzte Tag eines Angebots ist vorbei, oder ein Disponent hat es beendet.
event-work-order-created = Ein Arbeitsauftrag ist erstellt, oder ein Entwurf ist erteilt.
event-work-order-assigned = Ein Arbeitsauftrag ist Mitarbeitern zugeteilt.
event-work-order-started = Ein Mitarbeiter beginnt mit einem Arbeitsauftrag.
event-work-order-completed = Ein Arbeitsauftrag ist erledigt, und jemand hat dafür unterschrieben.
event-work-order-updated = Ein Arbeitsauftrag ist geändert oder kommt in einen anderen Zustand.
event-work-order-cancelled = Ein Arbeitsauftrag wird nicht ausgeführt.
event-inspection-submitted = Eine Prüfung ist eingereicht, mit Ergebnis und nicht bestandenen Fragen.
event-webhook-endpoint-disabled = Das System hat eine Webhook-Adresse abgeschaltet: Sie versagte tagelang oder ist weg.
endpoint-disabled-hint = Neue Ereignisse kommen hier nicht an. Wieder zugelassen, erhält die Adresse, was wartet; was aufgegeben ist, sendet das Nachholen weiter unten.
statistics = Statistik
span = Zeitspanne
last-days = { $count ->
    [one] Die letzten 24 Stunden
   *[other] Die letzten { $count } Tage
}
accepted-and-failed = { $accepted } angenommen, { $failed } fehlgeschlagen
success-rate = Angenommen
half-answered = Die Hälfte der Antworten innerhalb von
nearly-all-answered = 99 von 100 Antworten innerhalb von
waiting-deliveries = Warten jetzt
due-since = die erste ist fällig seit { $time }
recovery = Nachholen
recovery-hint = Sendet noch einmal, was seit einer Zeit aufgegeben wurde, etwa nach einem Ausfall des Programms.
recovery-needs-active = Was aufgegeben wurde, kann gesendet werden, sobald die Adresse wieder zugelassen ist.
failed-since = Aufgegeben seit
count-failed = Zählen
failed-found = { $count ->
    [0] Seitdem wurde nichts aufgegeben.
    [one] Seitdem wurde { $count } Zustellung aufgegeben.
   *[other] Seitdem wurden { $count } Zustellungen aufgegeben.
}
send-failed-again = Alle noch einmal senden
recovered = { $count ->
    [one] { $count } Zustellung ist wieder unterwegs.
   *[other] { $count } Zustellungen sind wieder unterwegs.
}
what-it-gets = Was gesendet wird
address-hint = Eine https-Adresse, die aus dem Internet erreichbar ist.
description = Notiz
description-hint = Was an dieser Adresse ist, für Sie und Ihr Team.
headers = Kopfzeilen
headers-hint = Gehen mit jedem Ereignis mit, je Zeile eine, etwa x-api-key: geheim. Die Werte werden nie wieder gezeigt.
headers-stay = Gesetzt: { $names }. Was hier steht, ersetzt sie; leer: Sie bleiben.
headers-wanted = Je Zeile eine Kopfzeile, als Name: Wert.
without-headers = Alle Kopfzeilen entfernen
without-headers-hint = Ereignisse gehen ohne sie.
ordered = Ein Ereignis nach dem anderen
ordered-hint = Das nächste Ereignis wartet, bis dieses angenommen oder aufgegeben ist.
thin = Nur Kennungen
thin-hint = Das Programm erhält die Kennungen und liest den Rest über die API.
all-types = Alle Ereignisse
all-types-hint = Auch solche, die spätere Versionen hinzufügen.
group-hint = Alle dieser Gruppe.
endpoint-filters = Maschinen und Zonen
endpoint-filters-hint = Sind Maschinen gewählt, gehen nur Ereignisse an diese Adresse, die eine davon nennen; ebenso bei Zonen. Ist beides gewählt, muss ein Ereignis eine Maschine und eine Zone davon nennen.
machines-chosen = { $count ->
    [one] Nur { $count } Maschine
   *[other] Nur { $count } Maschinen
}
zones-chosen = { $count ->
    [one] Nur { $count } Zone
   *[other] Nur { $count } Zonen
}
find-zone = Zone nach Namen suchen
endpoint-other-filters = Die API hat auch Filter nach Kunde oder Schlagwort gesetzt. Sie bleiben, wie sie sind.
secret = Geheimnis
rotate-endpoint-hint = Gesendetes wird mit einem neuen Geheimnis signiert, das einmal gezeigt wird. Bis das alte endet, signieren beide.
verification = Signaturen prüfen
verification-hint = Programme, die prüfen, dass von uns kommt und neu ist, was eintrifft: eines davon als Anfang kopieren.
programming-language = Programmiersprache

## Probleme

problem-archive-unavailable = Die Positionen dieser Tage liegen im Archiv, das gerade nicht gelesen werden kann. Später noch einmal versuchen.
problem-content-type-refused = Diese Art von Datei wird hier nicht angenommen.
problem-invalid-csv = Die Datei ist kein lesbares CSV.
problem-too-many-commands = Es warten zu viele Befehle. Warten Sie, bis einige gesendet sind, oder brechen Sie einige ab.
problem-no-commands = Das Gerät ist auf eine Art verbunden, die keine Befehle kennt. Boxen von Teltonika und GT06 kennen sie, und OwnTracks, wenn es dafür eingerichtet ist.
problem-command-not-queued = Der Befehl ist gesendet oder vorbei: Er kann nicht mehr abgebrochen werden.
problem-too-many-jobs = Es warten zu viele Aufträge. Warten Sie, bis einer endet, oder brechen Sie einen ab.
problem-no-archive = Dieser Server hebt keine Dateien auf: Er hat kein Archiv. Wer ihn betreibt, kann eines einrichten.
problem-no-file = Die Datei ist nicht fertig, oder nicht mehr da.
problem-exports-full = Ihre Organisation hebt so viele Exporte auf, wie sie darf. Ältere verschwinden nach einer Woche.
problem-unreachable = Der Server ist nicht erreichbar. Prüfen Sie Ihr Netz, und versuchen Sie es noch einmal.
problem-unavailable = Der Server kann gerade nicht antworten. Versuchen Sie es in einer Minute noch einmal.
problem-unexpected = Der Server hat eine Antwort gegeben, die diese Seite nicht kennt. Versuchen Sie es noch einmal.
problem-internal-error = Der Server hat versagt. Das ist unser Fehler: Nennen Sie dem Betreiber die Nummer der Anfrage.
problem-unauthorized = Sie sind nicht mehr angemeldet. Melden Sie sich wieder an.
problem-forbidden = Ihre Rolle erlaubt das nicht.
problem-not-found = Das gibt es nicht, oder es gehört nicht Ihnen.
problem-plan-required = Ihr Plan hat das nicht.
problem-quota-exceeded = Ihr Plan hat keinen Platz für mehr.
problem-rate-limited = Zu viele Anfragen in dieser Minute. Warten Sie etwas, und versuchen Sie es noch einmal.
problem-too-many-requests = Zu viel auf einmal. Versuchen Sie es gleich noch einmal.
problem-too-many-sign-ins = Zu viele Versuche sind gescheitert. Warten Sie einige Minuten, oder fordern Sie ein neues Passwort an.
problem-password-link-needed = Zu viele Versuche sind gescheitert. Fordern Sie einen Link per Brief an, und setzen Sie darüber ein Passwort.
problem-invalid-body = Eine Angabe stimmt nicht:
problem-link-not-good = Dieser Link wurde schon benutzt oder ist abgelaufen. Fordern Sie einen neuen an.
problem-changed-meanwhile = Jemand anders hat das inzwischen geändert. Laden Sie die Seite neu.
problem-alert-changed = Jemand anders hat inzwischen etwas damit getan: bitte noch einmal ansehen.
problem-already-accepted = Die Offerte ist bereits angenommen.
problem-already-registered = Das Gerät ist schon ein Tracker.
problem-already-subscribed = Das ist bereits abonniert.
problem-amounts-not-confirmed = Die Beträge der Offerte muss zuerst ein Administrator bestätigen.
problem-approval-blocked = Der Stundenzettel kann so nicht genehmigt werden: Prüfen Sie, was markiert ist.
problem-asset-deleted = Die Maschine ist gelöscht. Stellen Sie sie zuerst wieder her.
problem-assignment-overlaps = In dieser Zeit ist dort ein anderer Tracker oder eine andere Maschine.
problem-being-sent = Es wird gerade gesendet. Warten Sie einen Moment.
problem-body-incomplete = Das Gesendete kam nicht ganz an. Versuchen Sie es noch einmal.
problem-body-too-large = Das ist zu groß. Verkleinern Sie es, oder senden Sie es in Teilen.
problem-client-deleted = Der Kunde ist gelöscht. Stellen Sie ihn zuerst wieder her.
problem-converted = Aus der Offerte ist bereits ein Auftrag geworden.
problem-csrf-failed = Diese Seite ist veraltet. Laden Sie sie neu.
problem-dashboard-not-built = Auf diesem Server fehlen die Seiten. Sagen Sie es dem Betreiber.
problem-document-too-large = Das Dokument würde zu groß. Nehmen Sie etwas heraus.
problem-email-taken = Ein anderer Benutzer hat diese Adresse.
problem-employee-deleted = Der Mitarbeiter ist gelöscht. Stellen Sie ihn zuerst wieder her.
problem-employees-not-shown = Ihre Organisation zeigt nicht, wo ihre Mitarbeiter sind. Ein Administrator kann es einschalten.
problem-employee-left = Der Mitarbeiter ist ausgeschieden.
problem-endpoint-not-active = Die Adresse ist abgeschaltet. Lassen Sie sie zuerst wieder zu.
problem-external-id-taken = Etwas anderes hat diese externe Kennung.
problem-fixes-stored = Aus dieser Zeit gibt es schon Positionen: Das lässt sich nicht ändern.
problem-gateway-revoked = Das Gateway ist widerrufen.
problem-header-repeated = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-header-too-long = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-headers-too-large = Ihr Browser sendet zu viel. Löschen Sie die Cookies dieser Seite.
problem-imei-claimed = Ein anderer Tracker hat diese IMEI. Fragen Sie den Betreiber des Servers, falls das Gerät Ihres ist.
problem-idempotency-answer-lost = Es wurde erledigt, aber die Antwort ist verloren. Laden Sie die Seite neu, um es zu sehen.
problem-idempotency-in-flight = Es wird gerade erledigt. Warten Sie einen Moment.
problem-idempotency-mismatch = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-illegal-move = Das geht in diesem Zustand nicht. Laden Sie die Seite neu.
problem-in-stock = Davon ist noch etwas am Lager.
problem-in-use = Etwas anderes braucht es noch.
problem-insufficient-lot = Von diesem Los ist nicht so viel da.
problem-insufficient-reserved = So viel ist nicht reserviert.
problem-insufficient-stock = So viel ist nicht am Lager.
problem-insufficient-used = So viel wurde nicht verbraucht.
problem-invalid-form = Das Formular konnte nicht gelesen werden. Laden Sie die Seite neu.
problem-invalid-host = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-invalid-http = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-invalid-idempotency-key = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-invalid-json = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-invalid-multipart = Die Datei kam nicht ganz an. Versuchen Sie es noch einmal.
problem-invalid-parameter = Etwas in der Adresse stimmt nicht:
problem-invalid-position = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-last-admin = Es muss mindestens einen Administrator geben.
problem-logo-refused = Dieses Bild kann nicht das Logo sein.
problem-lot-not-used = Dieses Los wurde nicht verbraucht.
problem-media-type-refused = Dateien dieser Art werden nicht angenommen.
problem-method-not-allowed = Das geht hier nicht. Laden Sie die Seite neu.
problem-not-a-form = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-not-acceptable = Einen solchen Export gibt es nicht.
problem-not-invited = Der Benutzer hat keine offene Einladung.
problem-not-json = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-not-multipart = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-not-newest = Es gibt eine neuere Fassung.
problem-not-queued = Es wartet nicht mehr.
problem-number-taken = Etwas anderes hat diese Nummer.
problem-parent-deleted = Der übergeordnete Auftrag ist gelöscht.
problem-part-deleted = Das Teil ist gelöscht. Stellen Sie es zuerst wieder her.
problem-part-planned = Das Teil ist für einen Auftrag geplant.
problem-payload-not-kept = Die Meldung selbst wurde nicht aufbewahrt.
problem-period-not-over = Der Zeitraum ist noch nicht vorbei.
problem-precondition-failed = Jemand anders hat das inzwischen geändert. Laden Sie die Seite neu.
problem-quote-over = Die Offerte ist abgelaufen.
problem-range-not-satisfiable = Diesen Teil hat die Datei nicht.
problem-release-waiting = Es wartet bereits auf die Freigabe.
problem-repair-ordered = Eine Reparatur ist bereits beauftragt.
problem-request-timeout = Es kam zu langsam an. Versuchen Sie es noch einmal.
problem-revision-on-its-way = Eine neue Fassung ist bereits unterwegs.
problem-scope-missing = Dieser Schlüssel darf das nicht.
problem-serial-in-stock = Diese Seriennummer ist bereits am Lager.
problem-serial-not-in-stock = Diese Seriennummer ist nicht am Lager.
problem-serial-not-used = Diese Seriennummer wurde nicht verbraucht.
problem-share-used = Ihre Organisation nutzt die Datenbank gerade stark. Versuchen Sie es gleich noch einmal.
problem-site-deleted = Der Standort ist gelöscht. Stellen Sie ihn zuerst wieder her.
problem-site-of-another-client = Der Standort gehört einem anderen Kunden.
problem-stock-record-exists = Das Teil hat in diesem Lager bereits einen Bestand.
problem-target-too-long = Die Adresse ist zu lang.
problem-timesheet-too-large = Der Stundenzettel hat zu viele Stempelungen. Wählen Sie einen kürzeren Zeitraum.
problem-too-many-adjustments = Der Stundenzettel hat so viele Korrekturen, wie er darf.
problem-too-many-comments = Der Auftrag hat so viele Kommentare, wie er darf.
problem-too-many-imports = Ein Import läuft, und zwei warten. Versuchen Sie es, wenn einer fertig ist.
problem-too-many-parts = Der Auftrag hat so viele Teile, wie er darf.
problem-too-many-punches = An diesem Tag gibt es schon 500 Stempelungen.
problem-too-many-revisions = Die Offerte hat so viele Fassungen, wie sie darf.
problem-too-many-subscriptions = Diese Seite beobachtet zu viel auf einmal. Laden Sie sie neu.
problem-too-many-transitions = Der Auftrag hat seinen Zustand so oft gewechselt, wie er darf.
problem-too-many-versions = Die Vorlage hat so viele Fassungen, wie sie darf.
problem-too-much-stock = So viel kann nicht am Lager sein.
problem-too-much-used = So viel kann nicht verbraucht werden.
problem-tracker-revoked = Der Tracker ist widerrufen.
problem-unit-in-use = Die Einheit wird benutzt: Sie lässt sich nicht ändern.
problem-unknown-parameter = Etwas in der Adresse ist nicht bekannt:
problem-unsupported-grant-type = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-upgrade-required = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-user-taken = Ein anderer Mitarbeiter ist dieser Benutzer.
problem-verb-needed = Diesen Zustand erreicht man über seine eigene Taste.
problem-warehouse-deleted = Das Lager ist gelöscht. Stellen Sie es zuerst wieder her.
problem-wrong-password = Das Passwort ist falsch.

## Was an einem Feld nicht stimmt, nach dem Code der API

fault-required = Das wird gebraucht.
fault-minimum = Mindestens { $limit }.
fault-maximum = Höchstens { $limit }.
fault-exclusive-minimum = Mehr als { $limit }.
fault-min-length = Mindestens { $limit ->
    [one] ein Zeichen.
   *[other] { $limit } Zeichen.
  }
fault-max-length = Höchstens { $limit } Zeichen.
fault-min-items = Mindestens { $limit ->
    [one] eins wird gebraucht.
   *[other] { $limit } werden gebraucht.
  }
fault-max-items = Höchstens { $limit } sind möglich.
fault-email = Eine E-Mail-Adresse sieht aus wie anna@example.com.
fault-timezone = Eine Zeitzone hat einen Namen wie Europe/Zurich.
fault-password-common = Das ist eines der häufigsten Passwörter.
fault-password-repeats = Mindestens { $limit } verschiedene Zeichen.
fault-password-own = Ein Passwort darf nicht aus Ihrer Adresse oder Ihrem Namen bestehen.

# Berichte

reports = Berichte
report = Bericht
report-day = Tage
report-trips = Fahrten
report-stops = Halte
report-visits = Besuche
report-distance = Strecken
report-utilization = Auslastung
report-presence = Stunden vor Ort
report-hint-day = Was jede Maschine getan hat, Tag für Tag.
report-hint-trips = Alle Fahrten dieser Tage.
report-hint-stops = Alle Halte dieser Tage.
report-hint-visits = Wer in welcher Zone war, und wie lange innerhalb dieser Tage.
report-hint-distance = Wie weit Maschinen gefahren sind.
report-hint-utilization = Wie lange Maschinen fuhren, im Leerlauf liefen und geparkt waren.
report-hint-presence = Wie lange Maschinen vor Ort waren, nach Zone und Kunde.
report-to = Bis und mit
report-by = Nach
report-of = Von
report-of-assets = Maschinen
report-of-employees = Personen, nach ihren Trackern
report-zone = In der Zone
report-empty = Von diesen Tagen gibt es nichts zu berichten.
report-first = Dies sind die ersten { $count } von { $all } Zeilen: Eine Datei enthält alle.
report-group-thing = Maschine oder Person
report-group-asset = Maschine
report-group-client = Kunde
report-group-zone = Zone
report-group-tag = Schlagwort
report-group-day = Tag
report-group-week = Woche
report-column-name = Name
report-column-asset-name = Maschine
report-column-zone-name = Zone
report-column-client-name = Kunde
report-column-client-names = Kunden
report-column-tag = Schlagwort
report-column-day = Tag
report-column-week = Woche vom
report-column-departed-at = Abfahrt
report-column-arrived-at = Ankunft
report-column-started-at = Beginn
report-column-ended-at = Ende
report-column-entered-at = Eintritt
report-column-left-at = Austritt
report-column-duration-s = Dauer
report-column-within-s = Dauer
report-column-presence-s = Zeit
report-column-driving-s = Fahrt
report-column-stopped-s = Stand
report-column-idle-s = Leerlauf
report-column-parked-s = Geparkt
report-column-unknown-s = Unbekannt
report-column-driving-share = Anteil gefahren
report-column-distance-m = Strecke
report-column-top-speed-mps = Höchstes Tempo
report-column-trips = Fahrten
report-column-stops = Halte
report-column-visits = Besuche
report-column-assets = Maschinen
report-column-start-zones = Von
report-column-end-zones = Nach
report-column-zones = Zonen
report-chosen = { $count ->
    [one] die gewählte
   *[other] die { $count } gewählten
}
report-clients = { $count ->
    [one] 1 Kunde
   *[other] { $count } Kunden
}
report-people = { $count ->
    [one] 1 Person
   *[other] { $count } Personen
}
report-tags = mit Schlagwort { $tags }
report-only = Nur { $what }.
report-of-all = Alle zeigen
report-days-of = Tage von { $zone }.
report-mail = Diesen Bericht regelmäßig per E-Mail senden
report-tag = Mit einem dieser Schlagwörter
report-tag-hint = Mit Kommas; ohne Angabe alle Maschinen.
report-schedules = Zeitpläne
report-schedules-hint = Jeder Empfänger erhält eine E-Mail mit einem Link, wenn ein Tag, eine Woche oder ein Monat vorbei ist. Wer den Link öffnet, meldet sich an und sieht, was er dann sehen darf.
schedule-new = Neuer Zeitplan
schedule-change = { $name } ändern
schedule-add = Zeitplan hinzufügen
no-schedules = Noch wird kein Bericht per E-Mail gesendet.
cadence = Wann
cadence-daily = Täglich
cadence-weekly = Wöchentlich
cadence-monthly = Monatlich
cadence-daily-hint = Über den Tag davor.
cadence-weekly-hint = Über die Woche davor, von Montag bis Sonntag.
cadence-monthly-hint = Über den Monat davor.
schedule-weekday = Wochentag
schedule-month-day = Tag des Monats
schedule-month-day-hint = Hat ein Monat weniger Tage, dann sein letzter.
schedule-time = Uhrzeit
schedule-zone-hint = Etwa Europe/Zurich; ohne Angabe die der Organisation.
schedule-recipients = Empfänger
schedule-search = Personen suchen
schedule-nobody = Wählen Sie mindestens einen Empfänger.
schedule-to-me = An mich senden
schedule-others = { $count ->
    [one] Eine weitere Person erhält ihn auch: Das ändert nur ein Administrator.
   *[other] { $count } weitere erhalten ihn auch: Das ändert nur ein Administrator.
}
schedule-people = { $count ->
    [one] 1 Person
   *[other] { $count } Personen
}
schedule-you-and = { $count ->
    [one] Sie
   *[other] { $count } Personen, auch Sie
}
schedule-when-daily = Täglich um { $time } ({ $zone })
schedule-when-weekly = { $day } um { $time } ({ $zone })
schedule-when-monthly = Am { $day }. des Monats um { $time } ({ $zone })
schedule-next = Nächster
schedule-last = Zuletzt gesendet
schedule-off = Ausgeschaltet
schedule-never = Noch nie
schedule-left-out = { $count ->
    [one] 1 Empfänger erhielt keinen: nicht aktiv, oder ohne das Recht, ihn zu lesen.
   *[other] { $count } Empfänger erhielten keinen: nicht aktiv, oder ohne das Recht, ihn zu lesen.
}
schedule-error = Die letzte E-Mail ließ sich nicht senden: { $error }
schedule-send = Jetzt einen an mich
schedule-sent = Eine E-Mail mit dem neuesten „{ $name }“ ist auf dem Weg zu Ihnen.
schedule-switch-off = Ausschalten
schedule-switch-on = Einschalten
sure-delete-schedule = „{ $name }“ löschen? Niemand erhält ihn mehr.
thing-report-schedule = Zeitplan eines Berichts
quota-report-schedules = Zeitpläne von Berichten
problem-no-letters = Ein Benutzer für Programme erhält keine E-Mails.
archive = Archiv
archive-hint = Hat der Betreiber ein Archiv, wandern alte Positionen aus der Datenbank dorthin. Die Seiten zeigen beide gleich.
archive-none = Im Archiv ist nichts.
archive-days = Im Archiv
archive-from-to = { $count ->
    [one] 1 Tag, { $first }
   *[other] { $count } Tage, { $first } bis { $last }
}
archive-live = In der Datenbank ab
archive-fixes = Positionen im Archiv
archive-size = Größe
archive-megabytes = { $size } MB
archive-moved = Zuletzt verschoben
archive-failed = { $count ->
    [one] 1 Tag ließ sich nicht ins Archiv verschieben ({ $at }): { $day }. Er bleibt in der Datenbank und wird jede Stunde neu versucht; dauert es an, sagen Sie es dem Betreiber.
   *[other] { $count } Tage ließen sich nicht ins Archiv verschieben ({ $at }), der neueste { $day }. Sie bleiben in der Datenbank und werden jede Stunde neu versucht; dauert es an, sagen Sie es dem Betreiber.
}
