# Texte der Anwendung. Namen von Problemen sind `problem-` und der Code der API.

## Überall

loading = Lädt …
navigation = Hauptnavigation
skip-to-content = Zum Inhalt springen
language = Sprache
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
not-found-hint = Prüfen Sie die Adresse, oder gehen Sie über die Navigation oben weiter.

search = Suche
search-hint = Maschinen, Zonen, Tracker, Personen, Seiten
found = Gefunden
nothing-found = Nichts fängt so an.
page = Seite
kind-of-asset = Maschine
kind-of-zone = Zone
kind-of-tracker = Tracker
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

## Karte

map = Karte
assets = Maschinen
find-asset = Maschine nach Namen suchen
by-state = Nach Zustand
state-moving = Fährt
state-standing = Steht
state-silent = Still
state-unknown = Ohne Position
no-assets = Es gibt noch keine Maschinen. Legen Sie eine an und setzen Sie einen Tracker darauf: Ihre Position erscheint hier von selbst.
none-found = Keine Maschine passt. Nehmen Sie einen Filter weg.
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
only-newest-fixes = Das sind die neuesten { $count } Positionen: Wählen Sie eine kürzere Zeit.
greatest-speed = Geschwindigkeiten, höchstens
instant = Zeitpunkt
play = Abspielen
pause = Anhalten
pace = Tempo
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
alerts = Alarme
alerts-hint = Was eine Maschine tun muss, damit ein Verstoß gemeldet wird.
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
time-zone = Zeitzone
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
file-unreadable = Die Datei lässt sich nicht lesen: Sie ist beschädigt oder nicht vollständig.
file-of-another-kind = Das ist kein GeoJSON, KML oder GPX. Eine KMZ-Datei muss zuerst entpackt werden.
export = Als { $format } sichern

## Verstöße

breaches = Verstöße
no-breaches = An Ihren Zonen ist noch nichts geschehen. Was geschieht, erscheint hier von selbst.
older = Ältere
on-the-map = Auf der Karte
accuracy = ± { $metres } m
breach-enter = betrat
breach-exit = verließ
breach-dwell = ist schon lange in
breach-overspeed = fährt zu schnell in
mark-late = kam spät
mark-segment = zwischen Positionen
mark-timer = durch Zeitablauf
mark-initial = war schon dort
mark-schedule = die Zeiten der Zone begannen

## Tracker

trackers = Tracker
trackers-hint = Fügen Sie eine Maschine hinzu: Sie erhält einen eigenen Tracker, und Sie sehen, wie sein Gerät eingerichtet wird.
tracker = Tracker
asset = Maschine
name-of-machine = Name der Maschine
add-machine = Maschine hinzufügen
no-trackers = Es gibt noch keine Tracker. Fügen Sie eine Maschine hinzu.
connected = Verbunden
never-seen = Noch nichts von ihm gehört
last-seen = Zuletzt gehört am { $time }
revoked = Widerrufen
set-up-hint = Geben Sie dem Gerät diese Angaben, und lassen Sie es per MQTT senden.
user-name = Benutzername
password-once = Passwort, nur dieses eine Mal gezeigt
topic = Topic
set-up-example = Oder versuchen Sie es von hier, mit Host und Port Ihres Listeners:
waiting-for-fix = Wartet auf die erste Position …
first-fix-came = Die erste Position ist da. Die Maschine steht auf der Karte.

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
api-keys-hint = Mit einem Schlüssel handelt ein Programm in Ihrem Namen. Geben Sie jedem Programm einen eigenen, und widerrufen Sie die, die niemand braucht.
make-key = Schlüssel erstellen
key-shown-once = Das ist der Schlüssel. Kopieren Sie ihn jetzt: Er wird nur dieses eine Mal gezeigt.
no-keys = Es gibt noch keine Schlüssel. Geben Sie einem den Namen dessen, wofür er ist, und erstellen Sie ihn.
key-end = Endet mit
last-used = Zuletzt benutzt
revoke = Widerrufen

## Probleme

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
problem-already-accepted = Die Offerte ist bereits angenommen.
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
problem-employee-left = Der Mitarbeiter ist ausgeschieden.
problem-endpoint-not-active = Die Adresse ist abgeschaltet. Lassen Sie sie zuerst wieder zu.
problem-external-id-taken = Etwas anderes hat diese externe Kennung.
problem-fixes-stored = Aus dieser Zeit gibt es schon Positionen: Das lässt sich nicht ändern.
problem-gateway-revoked = Das Gateway ist widerrufen.
problem-header-repeated = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-header-too-long = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-headers-too-large = Ihr Browser sendet zu viel. Löschen Sie die Cookies dieser Seite.
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
problem-invalid-http = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-invalid-idempotency-key = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-invalid-json = Die Anfrage wurde nicht verstanden. Laden Sie die Seite neu.
problem-invalid-multipart = Die Datei kam nicht ganz an. Versuchen Sie es noch einmal.
problem-invalid-parameter = Etwas in der Adresse stimmt nicht:
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
