/*!
LISTED: from xato-net-10-million-passwords-10000.txt of SecLists (github.com/danielmiessler/SecLists), MIT License, Copyright (c) 2025 Daniel Miessler.
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions: The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
*/

/** The most frequent of ten million leaked passwords, the most frequent first; obscene ones and those below five characters left out. */
const LISTED = `
123456 password 12345678 qwerty 123456789 12345 111111 1234567 dragon 123123 baseball abc123 football monkey letmein 696969 shadow master
666666 qwertyuiop 123321 mustang 1234567890 michael 654321 superman 1qaz2wsx 7777777 121212 000000 qazwsx 123qwe killer trustno1 jordan
jennifer zxcvbnm asdfgh hunter buster soccer harley batman andrew tigger sunshine iloveyou charlie robert thomas hockey ranger daniel
starwars klaster 112233 george computer michelle jessica pepper zxcvbn 555555 11111111 131313 freedom 777777 maggie 159753 aaaaaa ginger
princess joshua cheese amanda summer ashley nicole chelsea biteme matthew access yankees 987654321 dallas austin thunder taylor matrix
william corvette hello martin heather secret merlin diamond 1234qwer gfhjkm hammer silver 222222 88888888 anthony justin bailey q1w2e3r4t5
patrick internet scooter orange 11111 golfer cookie richard samantha bigdog guitar jackson whatever mickey chicken sparky snoopy maverick
phoenix camaro peanut morgan welcome falcon cowboy ferrari samsung andrea smokey steelers joseph mercedes dakota arsenal eagles melissa
boomer booboo spider nascar monster tigers yellow xxxxxx 123123123 gateway marina diablo bulldog qwer1234 compaq purple hardcore banana
junior hannah 123654 porsche lakers iceman money cowboys 987654 london tennis 999999 ncc1701 coffee scooby miller boston q1w2e3r4 brandon
yamaha chester mother forever johnny edward 333333 oliver redsox player nikita knight fender barney midnight please brandy chicago badboy
iwantu slayer rangers charles angel flower bigdaddy rabbit wizard jasper enter rachel chris steven winner adidas victoria natasha 1q2w3e4r
jasmine winter prince marine ghbdtn fishing cocacola casper james 232323 raiders 888888 marlboro gandalf asdfasdf crystal 87654321
12344321 golden 8675309 panther lauren angela spanky thx1138 angels madison winston shannon toyota jordan23 canada sophie apples tiger
123abc pokemon qazxsw 55555 qwaszx muffin johnson murphy cooper jonathan liverpoo david danielle 159357 jackie 123456a 789456 turtle
abcd1234 scorpion qazwsxedc 101010 butter carlos password1 dennis slipknot qwerty123 booger black startrek 12341234 cameron newyork
rainbow nathan rocket viking redskins butthead asdfghjkl sierra peaches gemini doctor wilson sandra helpme qwertyui victor florida dolphin
pookie captain tucker liverpool theman bandit dolphins maddog packers jaguar lovers nicholas united tiffany maxwell zzzzzz nirvana jeremy
stupid monica elephant giants hotdog rosebud success debbie mountain 444444 xxxxxxxx warrior 1q2w3e4r5t q1w2e3 123456q albert metallic
lucky azerty bond007 alexis 1111111 samson willie scorpio bonnie gators benjamin voodoo driver dexter jason calvin freddy 212121 creative
12345a sydney rush2112 asdfghjk red123 bubba 4815162342 passw0rd trouble gunner happy gordon legend jessie stella qwert eminem arthur
apple nissan america 1qazxsw2 nothing parker rebecca qweqwe garfield 01012011 beavis 69696969 asdasd december 102030 252525 11223344 magic
apollo skippy 315475 girls kitten copper braves shelby godzilla beaver tomcat august buddy airborne lifehack qqqqqq brooklyn animal
platinum phantom online xavier darkness blink182 power green 789456123 voyager police travis 12qwaszx heaven snowball lover abcdef 00000
pakistan 007007 walter playboy blazer cricket sniper donkey willow loveme saturn therock redwings bigboy pumpkin trinity williams nintendo
digital destiny topgun runner marvin guinness chance bubbles testing november minecraft asdf1234 lasvegas sergey broncos cartman private
celtic birdie little cassie babygirl donald beatles family 12121212 school louise gabriel eclipse fluffy 147258369 lol123 explorer nelson
flyers spencer scott lovely gibson doggie cherry andrey snickers buffalo pantera metallica member carter qwertyu peter alexande steve
bronco paradise goober samuel montana mexico dreams michigan carolina yankee friends magnum surfer poopoo maximus genius vampire lacrosse
asd123 christin kimberly speedy sharon carmen 111222 kristina sammy racing ou812 sabrina horses 0987654321 qwerty1 stalker enigma 147147
poohbear 147258 simple 12345q marcus brian qweasdzxc drowssap hahaha caroline barbara viper drummer action einstein genesis hello1 scotty
friend forest 010203 hotrod google vanessa spitfire badger maryjane friday alaska 1232323q tester jester champion billy 147852 hawaii
chevy 420420 walker stephen eagle1 october gregory svetlana pamela music shorty westside stanley diesel courtney 242424 kevin hitman
12345qwert reddog frank qwe123 popcorn patricia aaaaaaaa teresa mozart buddha anderson melanie abcdefg security lucky1 lizard denise
a12345 123789 ruslan stargate simpsons scarface eagle 123456789a thumper olivia naruto 1234554321 general cherokee a123456 vincent spooky
qweasd frankie douglas death loveyou kitty kelly veronica suzuki semperfi penguin mercury liberty spirit scotland natalie marley vikings
system allison marshall 098765 qwerty12 hummer adrian vfhbyf sandman rocky leslie antonio 98765432 softball passion mnbvcxz passport
rascal howard franklin bigred alexander homer redrum jupiter claudia 55555555 141414 zaq12wsx patches raider infinity andre 54321 galore
college russia kawasaki bishop 77777777 vladimir money1 freeuser wildcats francis disney budlight brittany 00000000 sweet oksana honda
domino bulldogs brutus swordfis norman monday jimmy ironman fantasy 7654321 duncan cougar jeffrey house dancer brooke timothy super
marines justice digger connor patriots karina 202020 molly everton tinker alicia rasdzv3 pearljam stinky colorado 123123a water test123
ncc1701d motorola ireland asdfg houston boogie zombie accord vision reggie bradley kermit froggy ducati avalon 9379992 sarah saints
logitech chopper 852456 simpson madonna juventus claire 159951 zachary yfnfif wolverin warcraft hello123 extreme peekaboo fireman eugene
brenda 123654789 russell panthers georgia smith skyline jesus elizabet spiderma smooth pirate empire bullet virginia valentin psycho
predator arizona 134679 mitchell alyssa vegeta titanic christ goblue fylhtq mmmmmm kirill indian hiphop baxter awesome people danger
roland mookie 741852963 1111111111 dreamer bambam arnold skipper serega rolltide elvis changeme simon 1q2w3e lovelove fktrcfylh denver
tommy loverboy hobbes happy1 alison nemesis chevelle cardinal burton picard 151515 tweety michael1 147852369 windows turkey 456789 vfrcbv
sublime galina bobby newport manutd daddy american alexandr victory rooster qqq111 madmax electric a1b2c3 wolfpack spring phpbb lalala
spiderman darkside classic raptor 123456789q hendrix wombat avatar alpha zxc123 crazy england brazil 01011980 wildcat polina freepass
carrie 99999999 qaz123 holiday fyfcnfcbz brother taurus shaggy raymond maksim gundam admin pretty pickle chronic alabama airplane 22222222
1029384756 sports ronaldo pandora cheyenne caesar billybob bigman 124578 snowman lawrence kenneth horse france perfect kristen devils
alpha1 pussycat kodiak flowers 01012000 leather amber gracie chocolat bubba1 catch22 business cjkysirj 123qweasd ytrewq wolves stingray
ssssss serenity ronald greenday 135790 010101 tiger1 sunset charlie1 berlin bbbbbb 171717 panzer lincoln katana firebird blizzard a1b2c3d4
white sterling redhead password123 candy 142536 sasha pyramid outlaw hercules garcia 454545 trevor teens maria kramer popeye pontiac aaaaa
323232 tarheels honey cobra buddy1 remember detroit clinton basketball zeppelin whynot swimming strike service pavilion michele engineer
dodgers britney bobafett 741852 21122112 xxxxx robbie miranda 456123 future darkstar icecream connie jones hellfire fisher fireball apache
blonde bigmac morris angel1 666999 321321 simone rockstar flash defender wallace trooper oscar norton casino cancer beauty weasel savage
raven harvey bowling 246810 wutang theone swordfish stewart airforce abcdefgh nastya jenny hacker 753951 amateur viktor srinivas maxima
lennon freddie bluebird qazqaz presario packard mouse looking cheryl wrangler sandy machine lights eatme control tattoo precious harrison
beach tornado tanner goldfish catfish openup manager street roscoe paris natali light julian jerry dilbert dbrnjhbz chris1 atlanta xfiles
thailand sailor lucifer longhorn enjoy dragons young target elaine dustin 123qweasdzxc student madman integra wordpass prelude newton
ladies hawkeye corona bubble 31415926 trigger spike katie iloveu herman design cannon 999999999 video stealth shooter nfnmzyf hottie
browns 314159 trucks malibu bruins bobcat barbie orlando letmein1 freaky foobar cthutq baller unicorn scully potter cookies pppppp philip
gogogo elena country assassin zaqwsx testtest peewee moose microsoft teacher sweety stefan stacey shotgun random laura dfvgbh devildog
chipper athena winnie valentina pegasus kristin butterfly woody seattle lonewolf joker babydoll atlantis powers polaris montreal angelina
77777 tickle regina pepsi gizmo express dollar squirt shamrock knicks transam stinger smiley redneck mistress hjvfirf cessna bunny toshiba
single piglet father deftones coyote castle cadillac blaster valerie samurai oicu812 lindsay jasmin james1 blahblah birthday 1234abcd
01011990 sunday manson flipper asdfghj 181818 wicked great daisy skeeter reaper maddie cavalier veronika trucker qazwsx123 mustang1
goldberg escort 12345678910 wolfgang rocks mylove mememe lancer ibanez travel sugar snake sister siemens savannah minnie leonardo basketba
trumpet texas rocky1 galaxy cristina aardvark shelly goldie fatboy benson 321654 141627 sweetpea ronnie indigo 13131313 spartan roberto
hesoyam freeman freedom1 fredfred pizza manchester lestat kathleen hamilton blabla 22222 skater pencil passwor larisa hornet hamlet gambit
alfred 456456 sweetie marino lollol 565656 techno special renegade insane indiana farmer drpepper blondie 272727 1a2b3c valera storm seven
mister karate casey 1qaz2wsx3edc 1478963 maiden julie curtis colors christia buckeyes 13579 0123456789 toronto stephani pioneer kissme
jungle jerome holland harry garden enterpri dragon1 diamonds chrissy bigone 343434 wonder subaru smitty racecar pascal morpheus joanne
irina indians impala hamster charger change bigfoot babylon 66666666 timber redman bernie tomtom thuglife millie buckeye aaron tristan
stormy rusty pierre napoleon monkey1 highland chiefs chandler catdog aurora trfnthbyf sampson dudley cream consumer burger brandi welcome1
triumph joejoe hunting dirty caserta brown aragorn 363636 mariah element chichi 123qwe123 wrinkle1 smoke omega monika leonard justme
hobbit gloria doggy chicks audrey 951753 51505150 11235813 sakura philips griffin butterfl artist 66666 island goforit emerald elizabeth
anakin watson poison italia callie bobbob autumn andreas sherlock q12345 pitbull marathon kelsey inside german blackie access14 123asd
zipper overlord nadine marie basket trombone stones sammie nugget kaiser isabelle huskers bomber barcelona babylon5 alpine ultimate
pebbles nicolas marion loser linda eddie wesley warlock tyler goddess fatcat energy david1 bassman yankees1 trojan trixie superfly kkkkkk
ybrbnf warren sophia sidney nicola campbell vfvjxrf singer shirley qawsed paladin martha karen harold geronimo forget concrete 191919
westham soldier q1w2e3r4t5y6 poiuyt nikki mario juice jessica1 global dodger 123454321 webster titans tintin tarzan sammy1 portugal
onelove marcel manuel madness jjjjjj holly christy 424242 yvonne sundance pleasure logan danny wwwwww truck spartak smile michel history
65432 1234321 sherry sherman seminole rommel network ladybug isabella holden harris germany fktrctq cotton angelo 14789632 sergio
qazxswedc jesus1 trunks snakes kingkong bluesky archie adgjmptw 911911 112358 sunny snatch planet panama ncc1701e mongoose hansolo desire
alejandr 1123581321 whiskey waters party martina margaret january connect bluemoon bianca andrei 5555555 smiles nolimit abigail 555666
yomama rocker plastic katrina ghbdtnbr ferret emily bonehead blessed beagle asasas abgrtyu sticky japan jamaica hector dddddd turbo
stallion personal peace movie morrison joanna geheim finger cactus 7895123 susan super123 spyder mission anything aleksandr zxcvb shalom
rhbcnbyf pickles passat natalia moomoo jumper inferno dietcoke cooldude chuck christop million lollipop fernando christian blue22 bernard
apple1 unreal spunky ripper niners letmein2 flatron faster deedee bertha april 01012010 werewolf rubber punkrock orion mulder missy larry
giovanni gggggg cdtnkfyf yoyoyo tottenha newman lindsey hongkong freak daniela camera brianna blackcat a1234567 1q1q1q zzzzzzzz stars
pentium patton jamie hollywoo florence biscuit beetle always speed sailing phillip legion gn56gn56 909090 martini dream darren clifford
solomon silvia pirates office monitor monique milton matthew1 maniac loulou immortal fossil dodge delta 44444444 121314 sylvia sprite
shadow1 salmon diana shasta patriot palmer oxford molly1 irish holmes curious asdzxc makaveli kennedy groovy foster drizzt twister snapper
sebastia philly pacific jersey dominic charlott carrot anthony1 africa 111222333 sharks serena satan666 maxmax maurice jacob gerald cosmos
columbia colleen cjkywt cantona brooks 99999 787878 rodney nasty keeper infantry french eternity dillon coolio condor anton waterloo
velvet vanhalen teddy skywalke sheila sesame seinfeld funtime 012345 standard squirrel qazwsxed ninja kingdom grendel ghost damien crimson
boeing biggie 090909 zaq123 wolverine wolfman trains sweets sunrise maxine legolas jericho isabel foxtrot shogun search robinson rfrfirf
ravens privet penny musicman memphis megadeth brownie oldman graham grace 505050 verbatim support safety review newlife muscle herbert
colt45 bottom 1q2w3e4r5t6y 159159 western twilight thanks suzanne potato pikachu murray master1 marlin gilbert getsome denis 789789 456852
stone stardust seven7 peanuts obiwan mollie kansas frosty 262626 tarheel showtime roman markus maestro lobster darwin cindy chubby
147896325 tanker surfing skittles showme shaney14 qwerty12345 magic1 goblin fusion blades banshee alberto 123321123 123098 powder malcolm
intrepid garrett delete chaos bruno tequila short sandiego python punisher newpass iverson clayton amadeus 1234567a stimpy sooners preston
poopie photos neptune mirage harmony fighter dingdong whitney slick ricardo princes liquid helena daytona clover blues anubis 192837465
starcraft roxanne pepsi1 mushroom dagger cracker capital brendan blackdog 25802580 strider slapshot porter jason1 hershey gothic flight
ekaterina buffy bananas aaaaaaa 123698745 1234512345 tracey miami kolobok danni chargers cccccc blue123 bigguy 33333333 warriors walnut
raistlin miguel latino griffey green1 gangster felix engine doodle coltrane asdf123 123456z vertigo tacobell shark portland penelope
osiris nymets nookie lucky7 lucas lester ledzep gorilla bugger bruce blood bentley battle 1a2b3c4d 19841984 12369874 weezer turner thegame
stranger sally knights halflife ffffff dorothy dookie damian 258456 women trance qwerasdf playtime paradox monroe kangaroo henry dublin
charly butler brasil blade blackman bender baggins wisdom tazman swallow stuart scruffy phoebe panasonic masters ghjcnj firefly derrick
christine beautiful auburn archer aliens 161616 woody1 wheels test1 robin redred racerx postal parrot nimrod meridian madrid lonestar
kittycat goodluck gangsta formula devil cassidy camille buttons bonjour bingo barcelon allen 98765 898989 303030 0000000 tttttt tamara
scoobydo samsam rjntyjr richie qwertz megaman luther crusader 123qaz 12312312 102938 window sprint sinner sadie rulez quality oakland
misty lvbnhbq hannibal guardian grizzly finish discover collins catalina carson black1 annie 123987 1122334455 wookie volume rockon molson
marco californ angelica world william1 stonecol shazam picasso oracle moscow lorenzo kitkat johnjohn janice gerard flames celica 445566
234567 yourmom topper stevie septembe scarlett santiago milano lowrider loving incubus dogdog anastasia 123zxc vacation tempest sithlord
scarlet rebels ragnarok prodigy mobile keyboard golfing english carlo anime 545454 19921992 11112222 vfhecz sobaka shiloh penguins
nuttertools mystery lorraine llllll lawyer gizmodo elwood dkflbvbh 987456 6751520 12121 titleist tardis tacoma smoker shaman rootbeer
magnolia julia hoover gotcha dodgeram buffett bridge aspirine 456654 socrates photo parola nopass megan kenwood kenny imagine forgot
cynthia blondes ashton aezakmi 1234567q viper1 terry sabine redalert qqqqqqqq munchkin monkeys mersedes melvin mallard lizzie imperial
honda1 gremlin gillian elliott defiant dadada cooler blueeyes birdman 753159 zaq1xsw2 xanadu weather violet sergei sebastian romeo
research putter oooooo national lexmark garbage colombia chucky carpet bobbie 88888 01012001 smokin shaolin roger rammstein katerina
hearts frogger freckles dixie claude caliente amazon abcde wright willis spidey sleepy sirius santos rrrrrr randy picture payton mason
dusty director celeste broken trebor sheena qazwsxedcrfv oblivion mustangs margarita letsgo jimbob jimbo janine jackal iforgot hallo
deadhead abc12 zxcv1234 willy slappy roberts rescue porkchop noodles nellie mypass mikey marvel laurie grateful formula1 cxfcnmt bridget
aussie asterix a1s2d3f4 23232323 123321q veritas shopping roller rogers queen peterpan palace melinda martinez lonely kristi justdoit
goodtime frances camel beckham atomic alexandra active 223344 vanilla thankyou springer sommer sapphire richmond printer ohyeah massive
lemons kingston granny funfun evelyn donnie deanna brucelee bosco aggies 313131 wayne thunder1 throat temple smudge qawsedrf plymouth
pacman myself mariners israel heather1 faith clancy chelsea1 353535 282828 123456qwerty tobias tatyana stuff spectrum sooner sasha1
pineappl mandy labrador kisses katrin kasper kaktus harder eduard dylan chloe astros 1234567890q 10101010 stephanie satan hudson commando
bones bangkok amsterdam webmaster valley space southern rusty1 punkin napass marian magnus krishna hungry hhhhhh fletcher content account
906090 thompson simba scream q1q1q1 primus mature ivanov husker homerun esther ernest champs celtics candyman asian aquarius 33333
starfish peugeot painter monopoly infiniti goodbye fatman darling celine camelot blackjac barkley area51 8j4ye3uz 789654 19871987
0000000000 vader shelley scrappy sarah1 sailboat richard1 moloko method kicker keith judith john316 godsmack flyboy emmanuel drago
cosworth blake 19891989 writer usa123 topdog timmy speaker rosemary pancho night melody lightnin hidden gator farside falcons desert
chevrole catherin carolyn bowler anders 666777 369369 yesyes sabbath qwerty123456 power1 oscar1 ludwig jammer frontier fallen dance bryan
amber1 aaa111 123457 01011991 terror telefon strong spartans odessa luckydog frank1 elijah chang center blacks 15426378 132435 vivian
tanya stick snuggles sanchez redbull reality qwertyuio qwert123 mandingo ihateyou hayden goose franco forrest double carol bohica beefcake
beatrice avenger andrew1 anarchy 963852 1366613 111111111 whocares scooter1 rbhbkk matilda labtec kevin1 jesse hermes fitness doberman
camels 5555555555 vulcan vectra topcat theking skiing nokia muppet moocow leopard kelley grover gjkbyf filter elvis1 delta1 dannyboy
conrad children catcat bossman bacon amelia alice 2222222 viktoria valhalla tricky terminator soccer1 ramona puppy popopo oklahoma
ncc1701a mystic loveit looker latin laptop laguna keystone iguana herbie cupcake clarence blacky bennett 19751975 12332 000007 vette
trojans today romashka puppies possum pa55word oakley moneys kingpin golfball funny doughboy dalton crash charlotte carlton breeze billie
beast achilles tatiana studio sterlin plumber patrick1 miles kotenok homers gbpltw gateway1 franky durango drake cowboys1 ccbill brando
9876543210 zxczxc vkontakte tyrone skinny rookie qwqwqw phillies lespaul juliet jeremiah homer1 caitlin budman atlantic 989898 362436
19851985 vfrcbvrf verona technics svetik soleil september pinkfloy noodle metal maynard maryland kentucky hastings frederic engage eileen
azsxdc agent007 474747 19911991 01011985 triton tractor somethin shane sassy sabina russian porsche9 pistol justine hurrican gopher
deadman cutter coolman command chase california boris bicycle bethany bearbear babyboy 73501505 123456k zvezda vortex vipers tuesday
traffic star69 server ready rafael omega1 nathalie microlab killme jrcfyf gizmo1 function freaks flamingo enterprise eleven doobie deskjet
cuddles church 19941994 19781978 01011970 vladik unknown truelove sweden striker stoner ranger1 qqqqq pauline nebraska meatball marilyn
jethro hammers gustav escape elliot dogman chair brothers boots bella belinda babies syracuse river polska pilot oilers nofear military
macdaddy diamond1 danila central annette 128500 zxcasd warhammer universe splash sentinel rayray randall panda nevada mighty meghan mayday
manchest madden kamikaze jennie iloveyo hustler hunter1 handsome dthjybrf designer demon cheers cancel blueblue bigger australia asdfjkl
321654987 1qaz1qaz 1234qwe 01011981 zaphod ultima tolkien thekid tdutybq summit select saint rockets rhonda rebel ralph poncho pokemon1
momoney market leader jenna jayjay javier dracula dawson daniil cartoon capone bubbas 789123 19861986 01011986 zxzxzx wendy superstar
super1 ssssssss sonic sinatra scottie sasasa robert1 rjirfrgbde reagan meatloaf lifetime jimmy1 jamesbon houses hilton gofish charmed
bowser betty 525252 123456789z woofwoof santana rugby rfnthbyf miracle mailman lansing kathryn giant front242 firefox check boxing bogdan
bizkit azamat apollo13 turkey50 zidane tracy tinman terminal starbuck redhot oregon memory lewis lancelot illini grandma govols gordon24
giorgi fatima crunch creamy cabbage bryant brandon1 bigmoney azsxdcfv 3333333 321123 warlord station sayang rotten rightnow models
maradona lololo lionking jarhead hehehe exodus crazybab conner charlton catman casey1 bonita arjay 19931993 19901990 100000 sticks
poiuytrewq peters passwort orioles oranges marissa japanese hohoho fabian donna cutlass cthulhu chewie chacha bradford bigtime aikido
4runner 21212121 150781 wildfire utopia sport rereirf reebok raven1 poodle movies microsof grumpy eeyore chocolate chickens butch arsenal1
adriana 19831983 zzzzz volley tootsie sparkle software scotch science rovers nnnnnn mellon legacy julius helen happyday fubar danie cancun
br0d3r beverly beaner aberdeen 44444 19951995 13243546 123456aa wilbur treasure tomato theodore shania raiders1 natural kathy hamburg
gretchen frisco ericsson daddy1 cosmo comics coconut camilla bikini albatros 1passwor 143143 zxcasdqwe zaqxsw whisper vfvekz tyler1 sixers
rfhbyf profit okokok nancy mikemike michaela memorex marlene kristy jackson1 hailey fugazi fright figaro excalibu elvira denali cruise
cooter cheng candle attack armani anhyeuem 78945612 222333 zenith walleye tsunami trinidad thomas1 tammy sultan steve1 slacker selena
samiam revenge pillow nobody kitty1 killer1 jojojo huskies greens greenbay greatone fortuna fordf150 first fashion emerson davis cloud9
china applepie alien 963852741 321456 292929 18436572 tasha stocks rustam rfrnec piccolo milana marisa marcos malaka lisalisa kelly1
hithere harley1 hardrock flying fernand dinosaur corrado coleman clapton chief bloody anfield 636363 420247 332211 texas1 steele running
rastaman pa55w0rd number1 maxell madeline keywest junebug ingrid hollywood hellyeah hayley felicia eeeeee dfkthbz daisy1 columbus charli
bonsai billy1 aspire 9999999 987987 50cent 000001 xxxxxxx wolfie vfksirf vernon swimmer subway stolen sparta skywalker sausage ricky
positive nyjets miriam melissa1 krista kipper kcj9wx5n jazzman hyperion happy123 gotohell garage football1 fingers february dragoon crazy1
clemson chanel canon bootie balloon abc12345 609609609 456321 404040 162534 yosemite slider sandro roadkill quincy pedro mayhem knopka
kingfish hopper everest ddddddd chevy1 cheetah chaser billyboy bigbird 789987 1qa2ws3ed 135246 123789456 122333 050505 wibble valeria
tunafish trident tekken starship saratoga romance robotech rasputin rangers1 powell poppop passwords p0015123 nwo4life murder milena
midget megapass lucky13 lolipop koshka kenworth jonjon jenny1 irish1 hedgehog guiness gmoney ghetto fortune emily1 duster davidson davids
crysis bogart anaconda alibaba airbus 7753191 515151 20102010 200000 123123q 12131415 10203 vladislav vfczyz tundra torres splinter spears
richards rachael phoenix1 pearl monty lkjhgf leelee karolina johanna jensen helloo harper hal9000 fletch feather dfkthf depeche barsik
translator 789789789 757575 727272 zorro xtreme woman vitalik vermont train theboss sword shearer sanders railroad qwer123 pupsik pippen
pingpong nikola nguyen music1 magicman killbill kickass kenshin katie1 juggalo jayhawk grapes fritz divine cyclops critter coucou cecilia
bristol allsop 01011989 twisted trout tommyboy stefano skydive sherwood passpass pass1234 onlyme malina majestic macross lillian heart
guest gabrie dinamo deborah crawford clipper better bears bangbang asdasdasd artemis angie admiral 020202 xbox360 werner vector umbrella
strange sparks smelly small salvador sabres rupert ramses presto pompey operator ne1469 matador love69 kendall jordan1 jeanette hansen
gunners gonzo gggggggg fktrcfylhf daniel1 cruiser cinnamon cigars chico chester1 caramel calico broadway batman1 baddog 778899 2128506
123456r 01011988 z1x2c3 wassup wally vh5150 underdog thesims thecat sunnyday snoopdog sandy1 magick library kungfu kirsten jasmine1
hotshot gringo fowler duchess damage cyclone chemical chainsaw caveman catherine carrera canadian buster1 brighton animals alliance albion
969696 555777 19721972 19691969 theresa static scratch retired rambler quantum passme newbie mybaby musica misfit mechanic mathew mamapapa
isaiah golfgolf ghjcnjnfr frozen forfun fffff downtown coolguy christopher chivas chicken1 bullseye bottle bob123 blueboy believe becky
20002000 village vietnam trader summer1 stereo spurs solnce skorpion saturday safari renault peterson paper meredith louis lkjhgfdsa
ktyjxrf hotred eastside cyber credit backdoor again 192837 112211 westwood venus sneakers snake1 route66 q123456 mnbvcx mirror maureen
jamesbond horizon getmoney flounder europa direct boomboom bobby1 apple123 8888888 777888 333666 12345z 030303 01011987 undertaker tommy1
silence scanner samsung1 moneyman marianne love123 goodman florian federico 656565 1x2zkg8w 19881988 zerocool walmart typhoon test1234
qwert1 maximum klingon idontknow flash1 fghtkm sinbad secret1 second number nature motherlode christina america1 abraham 585858 414141
336699 20012001 12345678q whatsup titanium thursday thirteen starfire sparrow qwerqwer qazwsx12 italian giuseppe babyblue answer 90210
575757 10203040 solution respect phillips godfather freeze europe contact backup 12345679 100100 whisky tomorrow southpark qwerty1234
premier karma journey intruder francois eternal cat123 carbon 12qw34er 123qwerty 123aaa 080808 salamander public poseidon eduardo abc1234
1q2w3e4r5 125125 123451 working superman1 sunshine1 qwertyqwerty prophet meowmeow budweiser amanda1 asdfghjkl1 vegas turbo1 triangle
thanatos starman spike1 runescape pepper1 napster gladiator blossom zxcvbnm1 viewsonic traveler together starter sputnik spongebob
original mustard mohammed medicine juliette james007 hawkeyes goodboy combat cerberus beretta bengals beaches 135792468 12345qwe 01234567
zxasqw12 watcher something secure rooney redwing overkill monalisa illusion hayabusa gfhjkm123 enter1 confused cobra1 badgirl antoine
123456654321 smoking sacred redwood moonlight megatron massage johnboy casanova blackjack blablabla bermuda amazing wildman tracker
syncmaster rhiannon lightning lambert kashmir clark blessing bookworm benfica because babybaby aleksandra valencia thegreat rainman
packers1 newpass6 morning justin1 health clouds charles1 bacardi alphabet goldwing christmas cheese1 century booker andromeda 12345678a
wrestling tinkerbell sinister shannon1 madison1 ghostrider deluxe balloons supreme roadking realmadrid peacock nokia6300 medical logan1
killers gameover destroy chicago1 abcd123 1357924680 whiskers valkyrie talisman sporting spaceman lipstick kittykat inuyasha eureka
courage babyface 1qaz2ws 123321a unique strength stories seahawks recovery qweqweqwe playstation mermaid max123 maria1 leavemealone
just4me florida1 flexible eleanor dragonball checkers charlene buffy1 brian1 baseball1 thedoors templar sullivan stanford rolling mustafa
kissing illinois gamecube circle chinook charity caravan bright beowulf 987456321 1234567890a xyz123 wishbone warning subzero matthews
mandarin magical lalalala gabriela bluefish tottenham teddybear spinner spectre northern microphone electra dirtbike bearcat ashley1
asdfzxcv absolute virtual vampires sweet1 spanish shanghai property password2 orange1 nuggets netscape ludmila kaitlyn hawaiian
gfhjkmgfhjkm digital1 company colonel blackout 15151515 1234567891 z1x2c3v4 stretch stonecold soulmate nicole1 lineage2 friendly criminal
coldbeer chimera capslock bullfrog bonjovi bobdylan balance babylove argentina 11221122 yeahbaby temp123 sergeant reynolds qazwsx1 pasword
newyork1 monarch magazine katherine jayhawks jackpot ipswich fishing1 dragon12 dog123 abnormal 09876543 triple theater teddy1 rebecca1
preacher manowar halifax ferrari1 eldorado eagles1 coolness 111111a telephon specialk shepherd shadows samsun promise patience paranoid
orient monster1 missouri masamune martin1 laurence homeboy eastwood crystal1 corleone chevrolet buddyboy augusta alex123 998877 24242424
12365478 winston1 ventura slippery sandwich records monkey12 millwall mexican magician jackson5 insomnia hardware ginger1 george1 fountain
exotic channel bunnies borussia alejandro 258852 1234asdf windsurf wildcard universal sunflower strawberry someone rachel1 pinkfloyd
panther1 hopeful green123 freeway danny1 bombers bigblue 123456qwe zaqxswcde washington trainer sleeper reckless project nightmare married
iloveme gandalf1 dynasty download doomsday desmond darklord citizen chrysler arcadia 20202020 verizon tigger1 snowboard senator scrabble
rainbow6 qazwsxedc123 pharmacy nevermind mariposa lovebug insanity iceberg hockey1 graphics firewall domain dancing chloe1 321321321 titan
stanislav scorpio1 pumpkins ninja1 mobydick marine1 lover1 istanbul happiness guitar1 ghosts faithful creature creation concorde budapest
bronze battery windmill watch submit silver1 scott1 sausages radical pineapple officer loveless hooligan fullmoon everett dynamite corolla
bulldog1 aviation 20022002 radiohead platypus master12 kidrock joshua1 jacobs heritage ghost1 gameboy festival evolution electro dolphin1
charter cascade a12345678 woodland vanguard temppass super12 sheriff partner niceguy morgan1 mankind ferguson delight cottage british
biology baldwin 7894561230 tiger123 summer99 starstar slamdunk season playboy1 oliver1 muscles iloveyou2 holidays highway harvest
harrypotter gorgeous giraffe concord choice zxcvbnm123 winners scoobydoo roadster pipeline mypassword mama123 lemonade francesco defense
chipmunk 1z2x3c4v wireless visual register record players monsters kitchen jubilee hellboy freebird federal fantasia abrakadabra
alessandro airport 7777777777 23456789 zodiac yogibear vintage underground tropical snoopy1 sheridan postman mike123 maggie1 just4fun
firefire excalibur dallas1 berkeley letmein123 123456123 zanzibar training sweetness sisters password12 motion lovelife james123 heroes
catwoman dragon123 monkey123 25800852 survivor straight revolver qwerty11 qweasd123 michaels grandpa denmark chestnut 456456456
zxcasdqwe123 shakira qwert12345 pumpkin1 newcastle hurricane honolulu dungeon dentist superior question princess1 physics messiah knuckles
angel123 coldplay valentine redhat lineage iloveyou1 cookie1 david123 chinese changes 345678 sprinter smokey1 program patrol junior1
jaguars highlander casper1 buddy123 arkansas acmilan wrestler telephone nuclear install espresso complete 12345qwerty transfer tomahawk
university shadow12 printing notebook hellokitty darkangel cleopatra asdqwe123 9999999999 123567 warrior1 username progress navigator
money123 homework handball facebook dominion default chris123 skateboard roadrunner hello12 genesis1 cowboy1 14881488 zxcv123 rocknroll
q123456789 mississippi awesome1 whatever1 welcome123 admin123 administrator root123 root1234 passw0rd1 changeme1 changeme123 default1
summer2024 winter2024 summer2025 winter2025 summer2026 winter2026 test12345 testing123 testuser guest123 user1234 temp1234 temporary
secret123 nopassword
`

/** What people of our two languages choose when a password must be long: keyboard walks, quotations, clubs and vows. */
const LONG = `
motdepasse azertyuiop azerty123 azerty1 azertyui doudou chouchou jetaime jetaime1 marseille marseille13 chouchou1 doudou1 loulou1 coucou1
bonjour1 bonjour123 motdepasse1 motdepasse123 iloveyou123 princesse sandrine stephane christophe sebastien alexandre guillaume laurent
philippe maxime julien mathieu baptiste aurelie virginie veronique dominique patrice fabrice thierry poussin poupette minouche papillon
chaton lapinou nounours doudoune bisous bisous123 papamaman maman1234 famille football13 olympique toulouse bordeaux bretagne montpellier
strasbourg grenoble nantes44 azeqsd aqwzsx aqwzsxedc azsqdwxc 123soleil liberte egalite fraternite administrateur utilisateur ordinateur
internet1 connexion bienvenue bienvenue1 passwordpassword password12345678 password123456789 1234567890123456 123456789012345
qwertyuiopasdfgh 1q2w3e4r5t6y7u8i 1qaz2wsx3edc4rfv qazwsxedcrfvtgb zaq12wsxcde34rfv iloveyouforever iloveyousomuch iloveyoubaby
maytheforcebewithyou lukeiamyourfather supercalifragilisticexpialidocious tobeornottobe tobeornottobethatisthequestion thequickbrownfox
thequickbrownfoxjumpsoverthelazydog jumpsoverthelazydog loremipsum loremipsumdolorsitamet opensesame abracadabra letmeinplease letmeinnow
trustnoone myvoiceismypassport unitedstates unitedstatesofamerica newyorkcity newyorkyankees losangeles sanfrancisco manchesterunited
manchestercity liverpoolfc youllneverwalkalone realmadridcf fcbarcelona dallascowboys greenbaypackers pittsburghsteelers chicagobulls
losangeleslakers bostonredsox hermionegranger thelordoftherings lordoftherings gameofthrones winteriscoming indianajones jamesbond007
spongebobsquarepants mickeymouse donaldduck christianoronaldo cristianoronaldo lionelmessi michaeljordan michaeljackson linkinpark
ironmaiden redhotchilipeppers pinkfloydthewall ledzeppelin systemofadown gunsnroses jesuschrist jesuslovesme jesusislord jesusismylord
godisgood godislove godisgreat praisethelord hallelujah inthenameofgod inshallah ilovemyfamily ilovemymom ilovemydog ilovemycat ilovejesus
ilovegod ilovemusic ilovemylife mynameis forgotpassword forgotmypassword idontknowmypassword ihatepasswords thisisapassword
thisismypassword mysecretpassword secretpassword supersecret supersecretpassword verysecret topsecret strongpassword securepassword
newpassword changemenow changethispassword pleasechangeme defaultpassword temporarypassword testpassword adminpassword rootpassword
userpassword internetexplorer batmanandrobin liveloveandlaugh livelaughlove carpediem hakunamatata akunamatata alohomora expectopatronum
avadakedavra toinfinityandbeyond donttellanyone donttrustanyone onceuponatime happybirthday happynewyear happilyeverafter merrychristmas
ilovechristmas chocolatecake chocolatechip peanutbutter peanutbutterandjelly butterflykisses strawberryshortcake sweethomealabama
sweetdreams dreamscometrue neversaynever nevergiveup neverforget bestfriends bestfriendsforever friendsforever foreveryoung foreverandever
togetherforever loveisintheair loveislove loveislife loveyouforever everythingisawesome helloworld goodmorning goodmorningvietnam
goodnight goodbyeworld cestlavie jetaimemoncoeur jetaimetrop monamour monamourpourtoujours amourtoujours amourdemavie laviembelle
lavieestbelle vivelavie vivelafrance vivelesvacances liberteegalitefraternite monmotdepasse cestmonmotdepasse motdepassesecret
olympiquedemarseille parissaintgermain allezlesbleus allezlesverts
`

/** Well-known passwords, in lower case. */
export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(`${LISTED} ${LONG}`.split(/\s+/).filter(Boolean))
